// xterm writes its colours into style elements, which our content security policy forbids, and rightly: a style that
// somebody smuggles in can read and fake what a page shows. Sheets made by script (CSSOM) are allowed. So the style
// elements that a terminal makes are stand-ins that keep a sheet of the document up to date instead.

/** Style elements that are made while `work` runs, and by terminals later, become sheets of the document. */
export function installStyleElements(document: Document): void {
  if (document.createElement !== Document.prototype.createElement) return;
  installStyleAttributes();
  const original = document.createElement.bind(document) as (
    tag: string,
    options?: ElementCreationOptions,
  ) => HTMLElement;
  document.createElement = ((tag: string, options?: ElementCreationOptions) =>
    tag.toLowerCase() === 'style'
      ? standIn(document, original('span'))
      : original(tag, options)) as typeof document.createElement;
}

/**
 * Colours beyond the first sixteen, and the distance of wide characters, are style attributes of spans where no graphics
 * card draws. Set as a property they are allowed.
 */
function installStyleAttributes(): void {
  const { setAttribute } = Element.prototype;
  HTMLSpanElement.prototype.setAttribute = function (this: HTMLSpanElement, name: string, value: string) {
    if (name === 'style') this.style.cssText = value;
    else setAttribute.call(this, name, value);
  };
}

function standIn(document: Document, element: HTMLElement): HTMLElement {
  const sheet = new CSSStyleSheet();
  let text = '';
  element.hidden = true;
  Object.defineProperty(element, 'textContent', {
    get: () => text,
    set: (value: string) => {
      text = value;
      sheet.replaceSync(value);
      if (!document.adoptedStyleSheets.includes(sheet)) document.adoptedStyleSheets.push(sheet);
    },
  });
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter(one => one !== sheet);
    HTMLElement.prototype.remove.call(element);
  };
  return element;
}
