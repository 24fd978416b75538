import * as v from 'valibot';
import { type AppSettings, appSettings, type SettingsChange, USUAL_SETTINGS } from '../../preload/contract/settings.ts';
import type { JsonFile } from './json-file.ts';

/** The person's settings. What a file has that cannot be is as if it were not there, one setting at a time. */
export class SettingsStore {
  readonly #file: JsonFile;
  #settings: AppSettings;

  private constructor(file: JsonFile, settings: AppSettings) {
    this.#file = file;
    this.#settings = settings;
  }

  static async open(file: JsonFile): Promise<SettingsStore> {
    return new SettingsStore(file, validSettings(await file.read()));
  }

  get settings(): AppSettings {
    return this.#settings;
  }

  async change(change: SettingsChange): Promise<AppSettings> {
    this.#settings = { ...this.#settings, ...change };
    await this.#file.write(this.#settings);
    return this.#settings;
  }
}

function validSettings(value: unknown): AppSettings {
  if (typeof value !== 'object' || value === null) return USUAL_SETTINGS;
  const valid = Object.entries(appSettings.entries).flatMap(([name, schema]) => {
    const result = v.safeParse(schema, (value as Record<string, unknown>)[name]);
    return result.success ? [[name, result.output] as const] : [];
  });
  return { ...USUAL_SETTINGS, ...Object.fromEntries(valid) };
}
