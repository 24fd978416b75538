// Dialogs that any view may open; the shell draws them.
import type { Identity } from '../../engine/api/machine.ts';
import type { ChosenFile } from '../../preload/contract/files.ts';

/** A question whose answer cannot be undone. */
export interface Question {
  readonly title: string;
  readonly text: string;
  /** What will be lost or changed, line by line. */
  readonly details?: readonly string[];
  /** The verb on the button. */
  readonly confirm: string;
  readonly cancel?: string;
  readonly danger?: boolean;
}

/** Asks for a line of text. */
export interface TextQuestion {
  readonly title: string;
  readonly label: string;
  readonly value?: string;
  readonly hint?: string;
  readonly confirm: string;
  readonly maxlength?: number;
  /** More than one: a text area. */
  readonly rows?: number;
  /** May be left empty. */
  readonly optional?: boolean;
}

export type OpenDialog =
  | { readonly kind: 'question'; readonly question: Question; readonly answer: (yes: boolean) => void }
  | {
      readonly kind: 'text';
      readonly question: TextQuestion;
      readonly answer: (text: string | undefined) => void;
    }
  | { readonly kind: 'create'; readonly kernel?: ChosenFile; readonly disk?: ChosenFile }
  | { readonly kind: 'import'; readonly file: ChosenFile }
  | { readonly kind: 'delete'; readonly machine: Identity }
  | { readonly kind: 'checkpoint'; readonly machine: Identity }
  | { readonly kind: 'configure'; readonly machine: Identity }
  | { readonly kind: 'palette' }
  | { readonly kind: 'shortcuts' };

export class Dialogs {
  #open = $state.raw<readonly OpenDialog[]>([]);

  /** From the back to the front. */
  get open(): readonly OpenDialog[] {
    return this.#open;
  }

  show(dialog: OpenDialog): void {
    if (this.#open.some(one => one.kind === dialog.kind)) return;
    this.#open = [...this.#open, dialog];
  }

  close(dialog: OpenDialog): void {
    this.#open = this.#open.filter(one => one !== dialog);
  }

  /** Fulfilled with whether the user agreed. */
  confirm(question: Question): Promise<boolean> {
    return new Promise(resolve => {
      const dialog: OpenDialog = {
        kind: 'question',
        question,
        answer: yes => {
          this.close(dialog);
          resolve(yes);
        },
      };
      this.#open = [...this.#open, dialog];
    });
  }

  /** Fulfilled with the text, trimmed, or undefined when the user gave up. */
  ask(question: TextQuestion): Promise<string | undefined> {
    return new Promise(resolve => {
      const dialog: OpenDialog = {
        kind: 'text',
        question,
        answer: text => {
          this.close(dialog);
          resolve(text);
        },
      };
      this.#open = [...this.#open, dialog];
    });
  }
}
