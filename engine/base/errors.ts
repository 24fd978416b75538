/** What went wrong, as a closed set that callers can match (STYLE 8). */
export type ErrorKind =
  | 'usage' // the caller asked for something that makes no sense
  | 'missing' // a file or object that should exist does not
  | 'denied' // the host refused access
  | 'locked' // in use by someone else
  | 'corrupt' // data from outside breaks its own format
  | 'unsupported' // valid, but not something we do
  | 'too-large'
  | 'no-space'
  | 'io' // the host failed to read or write
  | 'state' // not possible in the present state
  | 'guest' // the guest did something it must not
  | 'internal'; // a mistake of ours

/** Facts about an error as data: file, offset, step. Plain values only, so that they cross process borders. */
export type ErrorContext = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * The one error class of the project. `message` is one sentence for a person, capital first, no full stop;
 * what happened underneath travels as `cause`, never repeated in the text.
 */
export class AfterimageError extends Error {
  readonly kind: ErrorKind;
  readonly context: ErrorContext;

  constructor(kind: ErrorKind, message: string, context: ErrorContext = {}, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'AfterimageError';
    this.kind = kind;
    this.context = context;
  }

  /** The shape that crosses process borders: `{ kind, message, context }`. */
  toPlain(): PlainError {
    return { kind: this.kind, message: this.message, context: this.context };
  }

  static fromPlain(plain: PlainError): AfterimageError {
    return new AfterimageError(plain.kind, plain.message, plain.context);
  }

  /** Any thrown value as an AfterimageError: unknown ones become `internal` with the original as cause. */
  static from(thrown: unknown): AfterimageError {
    if (thrown instanceof AfterimageError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new AfterimageError('internal', message, {}, { cause: thrown });
  }
}

export interface PlainError {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly context: ErrorContext;
}

/** Ends a switch over a closed union; reaching it means that the types lied. */
export function assertNever(value: never, what = 'value'): never {
  throw new AfterimageError('internal', `Unexpected ${what}: ${String(value)}`);
}
