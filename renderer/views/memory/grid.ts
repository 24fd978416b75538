// Pages as cells of a picture, row after row from the upper left.

export interface Grid {
  readonly columns: number;
  readonly rows: number;
  /** Side of a cell with its gap, in pixels of the canvas. */
  readonly pitch: number;
  /** Of each cell's right and lower side. */
  readonly gap: number;
  readonly cells: number;
}

/** A gap between cells this wide and wider; below it would be most of the picture. */
const GAP_FROM = 4;
/** Columns are a multiple of this where there is room, so that rows begin at round addresses. */
const ROUND_COLUMNS = 16;

/** The largest square cells of which `cells` fit into a canvas, all lengths in its pixels. */
export function fitGrid(cells: number, width: number, height: number): Grid {
  const square = Math.sqrt((width * height) / Math.max(1, cells));
  const most = Math.floor(Math.min(square, width));
  for (let pitch = most; pitch > 1; pitch -= 1) {
    const widest = Math.floor(width / pitch);
    for (const columns of [wholeColumns(widest), roundColumns(widest), widest]) {
      if (Math.ceil(cells / columns) * pitch <= height) return gridOf(cells, columns, pitch);
    }
  }
  return gridOf(cells, wholeColumns(Math.max(1, Math.floor(width))), 1);
}

/** A power of two when the picture is nearly that wide, else a multiple of ROUND_COLUMNS. */
function wholeColumns(columns: number): number {
  const power = 2 ** Math.floor(Math.log2(Math.max(1, columns)));
  if (power >= columns * 0.85) return power;
  return roundColumns(columns);
}

function roundColumns(columns: number): number {
  return columns >= ROUND_COLUMNS ? columns - (columns % ROUND_COLUMNS) : Math.max(1, columns);
}

function gridOf(cells: number, columns: number, pitch: number): Grid {
  const used = Math.max(1, Math.min(columns, Math.max(1, cells)));
  return { columns: used, rows: Math.ceil(cells / used), pitch, gap: pitch >= GAP_FROM ? 1 : 0, cells };
}

/** How many cells to ask for so that each is still to be seen: at most `pages`, in groups of a power of two. */
export function cellsFor(pages: number, width: number, height: number, smallest: number): number {
  const room = Math.max(1, Math.floor(width / smallest) * Math.floor(height / smallest));
  let group = 1;
  while (Math.ceil(pages / group) > room) group *= 2;
  return Math.ceil(pages / group);
}

/** The cell at a point of the canvas, undefined beside them. */
export function cellAt(grid: Grid, x: number, y: number): number | undefined {
  const column = Math.floor(x / grid.pitch);
  const row = Math.floor(y / grid.pitch);
  if (column < 0 || row < 0 || column >= grid.columns) return undefined;
  const cell = row * grid.columns + column;
  return cell < grid.cells ? cell : undefined;
}

export function cellPlace(grid: Grid, cell: number): { readonly x: number; readonly y: number } {
  return { x: (cell % grid.columns) * grid.pitch, y: Math.floor(cell / grid.columns) * grid.pitch };
}

/** Where an arrow key leads from a cell; stays at the edges. */
export function moveCell(grid: Grid, cell: number, key: string): number {
  const last = grid.cells - 1;
  switch (key) {
    case 'ArrowLeft':
      return Math.max(0, cell - 1);
    case 'ArrowRight':
      return Math.min(last, cell + 1);
    case 'ArrowUp':
      return cell >= grid.columns ? cell - grid.columns : cell;
    case 'ArrowDown':
      return cell + grid.columns <= last ? cell + grid.columns : cell;
    case 'PageUp':
      return Math.max(cell % grid.columns, cell - 10 * grid.columns);
    case 'PageDown': {
      const moved = cell + 10 * grid.columns;
      return moved <= last ? moved : last - ((last - cell) % grid.columns);
    }
    case 'Home':
      return 0;
    case 'End':
      return last;
    default:
      return cell;
  }
}

/** The pages of a cell. */
export function pagesOf(
  view: { readonly first: number; readonly group: number; readonly totalPages: number },
  cell: number,
): { readonly first: number; readonly count: number } {
  const first = view.first + cell * view.group;
  return { first, count: Math.max(0, Math.min(view.group, view.totalPages - first)) };
}
