// The icon set: drawn by us on a 16 px grid with strokes of 1.5 px; `fill:` marks shapes that are filled.

export const ICONS = {
  activity: ['M1.5 8h3l2-5 3 10 2-5h3'],
  'arrow-down': ['M8 3v10M4 9l4 4 4-4'],
  'arrow-up': ['M8 13V3M4 7l4-4 4 4'],
  branch: [
    'M4.5 5.5v5M11.5 7.5c0 2-3 2-5 3',
    'M4.5 5.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM4.5 14.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM11.5 7.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z',
  ],
  check: ['M3 8.5l3.5 3.5L13 4.5'],
  // An afterimage: a disc, and what is left of it to see.
  checkpoint: ['M10.2 3.6a4.6 4.6 0 0 1 0 8.8', 'fill:M6 3.4a4.6 4.6 0 1 1 0 9.2 4.6 4.6 0 0 1 0-9.2Z'],
  'chevron-down': ['M4 6l4 4 4-4'],
  'chevron-left': ['M10 4L6 8l4 4'],
  'chevron-right': ['M6 4l4 4-4 4'],
  clock: ['M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12Z', 'M8 4.8V8l2.2 1.6'],
  close: ['M4 4l8 8M12 4l-8 8'],
  compare: ['M6 2.5v11M10 2.5v11M2.5 5.5h3.5M2.5 10.5h3.5M10 5.5h3.5M10 10.5h3.5'],
  copy: ['M5.5 5.5h8v8h-8z', 'M10.5 5.5v-3h-8v8h3'],
  detach: ['M8.5 2.5h5v5M13.5 2.5L7.5 8.5', 'M6 3.5H2.5v10h10V10'],
  disk: [
    'M2 4.2C2 3 4.7 2 8 2s6 1 6 2.2v7.6c0 1.2-2.7 2.2-6 2.2s-6-1-6-2.2z',
    'M2 4.2c0 1.2 2.7 2.2 6 2.2s6-1 6-2.2M2 8c0 1.2 2.7 2.2 6 2.2s6-1 6-2.2',
  ],
  download: ['M8 2v8M4.5 7L8 10.5 11.5 7', 'M2.5 13.5h11'],
  edit: ['M10.5 3l2.5 2.5L6 12.5l-3 .5.5-3z'],
  fit: ['M2.5 5.5v-3h3M13.5 5.5v-3h-3M2.5 10.5v3h3M13.5 10.5v3h-3', 'M5.5 6.5h5v3h-5z'],
  folder: ['M1.5 4v8.5h13v-7h-7L6 3.5H1.5z'],
  gear: [
    'M8 10.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4Z',
    'M8 1.5v2M8 12.5v2M1.5 8h2M12.5 8h2M3.4 3.4l1.4 1.4M11.2 11.2l1.4 1.4M12.6 3.4l-1.4 1.4M4.8 11.2l-1.4 1.4',
  ],
  info: ['M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12Z', 'M8 7.5v3.5M8 5v.2'],
  keyboard: ['M1.5 4h13v8h-13z', 'M4 6.5h.2M6.7 6.5h.2M9.3 6.5h.2M11.8 6.5h.2M5 9.5h6'],
  library: ['M2 2.5h5v4.5H2zM9 2.5h5v4.5H9zM2 9h5v4.5H2zM9 9h5v4.5H9z'],
  link: ['M6.5 9.5l3-3', 'M7 4.5L8.5 3a3.2 3.2 0 0 1 4.5 4.5L11.5 9M9 11.5L7.5 13A3.2 3.2 0 0 1 3 8.5L4.5 7'],
  lock: ['M3.5 7h9v6.5h-9z', 'M5.5 7V5a2.5 2.5 0 0 1 5 0v2'],
  memory: ['M3.5 3.5h9v9h-9z', 'M6 1.5v2M10 1.5v2M6 12.5v2M10 12.5v2M1.5 6h2M1.5 10h2M12.5 6h2M12.5 10h2'],
  menu: ['M2.5 4.5h11M2.5 8h11M2.5 11.5h11'],
  more: [
    'fill:M3.2 9.3a1.3 1.3 0 1 0 0-2.6 1.3 1.3 0 0 0 0 2.6ZM8 9.3a1.3 1.3 0 1 0 0-2.6 1.3 1.3 0 0 0 0 2.6ZM12.8 9.3a1.3 1.3 0 1 0 0-2.6 1.3 1.3 0 0 0 0 2.6Z',
  ],
  pause: ['fill:M4 3h2.8v10H4zM9.2 3H12v10H9.2z'],
  play: ['fill:M4.5 2.6v10.8L13 8z'],
  plus: ['M8 3v10M3 8h10'],
  power: ['M8 2v5.5', 'M4.8 4A5.5 5.5 0 1 0 11.2 4'],
  restart: ['M13 8a5 5 0 1 1-1.6-3.7', 'M13 1.8v3.2H9.8'],
  restore: ['M3 8a5 5 0 1 0 1.6-3.7', 'M3 1.8v3.2h3.2', 'M8 5.2V8l2 1.4'],
  search: ['M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM10.3 10.3L14 14'],
  sidebar: ['M2 3h12v10H2zM6 3v10'],
  stop: ['fill:M3.5 3.5h9v9h-9z'],
  suspend: ['M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5Z'],
  terminal: ['M1.5 3h13v10h-13z', 'M4 6l2.2 2L4 10M8 10h3.5'],
  trash: ['M2.5 4h11M6 4V2.5h4V4M4 4l.6 9.5h6.8L12 4M6.7 6.5v4.5M9.3 6.5v4.5'],
  tree: [
    'M4 3.5v9M4 6.5h3.5a2 2 0 0 1 2 2',
    'fill:M4 4.7a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4ZM4 14.7a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4ZM9.8 11.5a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4Z',
  ],
  upload: ['M8 10.5v-8M4.5 6L8 2.5 11.5 6', 'M2.5 13.5h11'],
  warning: ['M8 2l6.5 11.5h-13z', 'M8 6.5v3.5M8 11.7v.2'],
} as const satisfies Record<string, readonly string[]>;

export type IconName = keyof typeof ICONS;
