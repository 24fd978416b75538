// The app's settings, and what of them the page itself carries out: the theme.
import type { Afterimage } from '../../preload/contract/client.ts';
import type { AppSettings, SettingsChange } from '../../preload/contract/settings.ts';

export class Settings {
  readonly #app: Afterimage;
  #values = $state.raw<AppSettings>();
  #dark = $state(matchMedia('(prefers-color-scheme: dark)').matches);

  constructor(app: Afterimage) {
    this.#app = app;
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', event => {
      this.#dark = event.matches;
    });
  }

  /** Undefined until the host has answered. */
  get values(): AppSettings | undefined {
    return this.#values;
  }

  /** What is shown: the user's choice, or the system's. */
  get scheme(): 'dark' | 'light' {
    const theme = this.#values?.theme ?? 'system';
    if (theme === 'system') return this.#dark ? 'dark' : 'light';
    return theme;
  }

  adopt(values: AppSettings): void {
    this.#values = values;
    if (values.theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = values.theme;
  }

  async load(): Promise<void> {
    this.adopt(await this.#app.call('settings', {}));
  }

  /** Shown at once; taken back when the host refuses it. */
  async change(change: SettingsChange): Promise<void> {
    const before = this.#values;
    if (before !== undefined) this.adopt({ ...before, ...change });
    try {
      this.adopt(await this.#app.call('change-settings', { change }));
    } catch (error) {
      if (before !== undefined) this.adopt(before);
      throw error;
    }
  }
}
