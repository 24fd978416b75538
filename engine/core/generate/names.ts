/** An instruction's name as part of a constant's: `fcvt.w.s` becomes `FCVT_W_S`. */
export const constantName = (name: string): string => name.toUpperCase().replaceAll('.', '_');
