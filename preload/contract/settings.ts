// What a person may set about the app.
import * as v from 'valibot';

const theme = v.picklist(['system', 'light', 'dark']);
/** `suspend`: checkpoint and power off, the next start goes on from it. `stop`: the guest is asked to power off. */
const onQuit = v.picklist(['suspend', 'stop', 'ask']);
/** `checkpoint`: an automatic one of each running machine; `suspend` as above. */
const onSleep = v.picklist(['nothing', 'checkpoint', 'suspend']);

export const appSettings = v.strictObject({
  theme,
  /** As Electron's accelerators are written; empty for none. */
  quickSnapshotShortcut: v.pipe(v.string(), v.maxLength(60), v.regex(/^(|[A-Za-z0-9]+(\+[A-Za-z0-9]+)*)$/)),
  onQuit,
  onSleep,
  /** Closing the last window leaves machines running, with the tray to come back. */
  keepInTray: v.boolean(),
  notifications: v.boolean(),
  /** In CSS pixels. */
  consoleFontSize: v.pipe(v.number(), v.minValue(8), v.maxValue(32)),
  consoleScrollback: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(100_000)),
  consoleCopyOnSelect: v.boolean(),
});

export type AppSettings = Readonly<v.InferOutput<typeof appSettings>>;

export const USUAL_SETTINGS: AppSettings = {
  theme: 'system',
  quickSnapshotShortcut: 'CommandOrControl+Alt+S',
  onQuit: 'suspend',
  onSleep: 'checkpoint',
  keepInTray: true,
  notifications: true,
  consoleFontSize: 14,
  consoleScrollback: 10_000,
  consoleCopyOnSelect: false,
};

const { entries } = appSettings;

/** Only what changes. */
export const settingsChange = v.strictObject({
  theme: v.exactOptional(entries.theme),
  quickSnapshotShortcut: v.exactOptional(entries.quickSnapshotShortcut),
  onQuit: v.exactOptional(entries.onQuit),
  onSleep: v.exactOptional(entries.onSleep),
  keepInTray: v.exactOptional(entries.keepInTray),
  notifications: v.exactOptional(entries.notifications),
  consoleFontSize: v.exactOptional(entries.consoleFontSize),
  consoleScrollback: v.exactOptional(entries.consoleScrollback),
  consoleCopyOnSelect: v.exactOptional(entries.consoleCopyOnSelect),
});
export type SettingsChange = Readonly<Partial<AppSettings>>;
