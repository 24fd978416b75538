// Whether WebGL is drawn by a graphics card here. Where the processor plays one, a screen of text takes 50 ms, three times
// as long as xterm's own renderer: floods then have frames that one sees.

/** Programs that draw in a graphics card's place: of Chromium, of Linux and of Windows. */
const PLAYED = /swiftshader|llvmpipe|softpipe|software|basic render/i;

let known: boolean | undefined;

export function hasGraphicsCard(): boolean {
  known ??= probe();
  return known;
}

function probe(): boolean {
  const context = document.createElement('canvas').getContext('webgl2', { failIfMajorPerformanceCaveat: true });
  if (context === null) return false;
  // Not every browser takes a played card for a caveat.
  const info = context.getExtension('WEBGL_debug_renderer_info');
  const name: unknown = info === null ? '' : context.getParameter(info.UNMASKED_RENDERER_WEBGL);
  // There are only about sixteen contexts for a whole page.
  context.getExtension('WEBGL_lose_context')?.loseContext();
  return !PLAYED.test(String(name));
}
