// How a run ended: the exit status for scripts, the object that `--json` prints, the line for a person.
import type { RunSummary, StopReason } from '../../engine/api/messages.ts';
import type { PlainError } from '../../engine/base/errors.ts';
import { explain } from './explain.ts';

export const STATUS = {
  ok: 0,
  /** `--wait-for` was not seen before the guest stopped. */
  notSeen: 1,
  /** Bad arguments, unusable files. */
  usage: 2,
  /** `--timeout` or `--max-instructions`, as timeout(1) has it. */
  limit: 124,
  /** The engine failed. */
  failed: 125,
  /** Plus the number of the signal, as shells have it. */
  signal: 128,
} as const;

const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGPIPE: 13, SIGTERM: 15 } as const;
export type EndingSignal = keyof typeof SIGNAL_NUMBERS;

/** Why the command line ended a run by itself. */
export type Decision =
  | { readonly kind: 'seen' }
  | { readonly kind: 'timeout'; readonly seconds: number }
  | { readonly kind: 'quit' }
  | { readonly kind: 'failed'; readonly error: PlainError }
  | { readonly kind: 'signal'; readonly signal: EndingSignal };

export type Failure = { readonly during: 'start' | 'run'; readonly error: PlainError };

export interface RunFacts {
  /** Undefined when the engine or the guest ended the run. */
  readonly decision: Decision | undefined;
  readonly summary: RunSummary | undefined;
  readonly failure: Failure | undefined;
  readonly waitFor: boolean;
  readonly milliseconds: number;
  readonly consoleBytes: number;
}

export type Outcome = StopReason | Decision['kind'] | 'not-seen';

export interface RunResult {
  readonly outcome: Outcome;
  readonly status: number;
  /** For a person; undefined when there is nothing to say. */
  readonly line: string | undefined;
}

export function resultOf(facts: RunFacts): RunResult {
  const { decision, failure, summary } = facts;
  // What we decided counts, even if the engine failed on its way out; the failure is told all the same.
  if (decision !== undefined) return ofDecision(decision, failure);
  if (failure !== undefined) {
    const status = failure.during === 'start' && failure.error.kind !== 'internal' ? STATUS.usage : STATUS.failed;
    return { outcome: 'failed', status, line: explain(failure.error) };
  }
  if (summary === undefined) return { outcome: 'failed', status: STATUS.failed, line: 'the engine gave no result' };
  return ofSummary(summary, facts.waitFor);
}

/** The object that `--json` prints. */
export function toJson(facts: RunFacts, result: RunResult): Readonly<Record<string, unknown>> {
  const { summary, failure, decision } = facts;
  return {
    outcome: result.outcome,
    status: result.status,
    code: summary?.code,
    signal: decision?.kind === 'signal' ? decision.signal : undefined,
    instructions: summary?.instructions,
    milliseconds: Math.round(facts.milliseconds),
    consoleBytes: facts.consoleBytes,
    guestErrors: summary?.guestErrors,
    error: decision?.kind === 'failed' ? decision.error : failure?.error,
  };
}

function ofDecision(decision: Decision, failure: Failure | undefined): RunResult {
  const line = failure && explain(failure.error);
  switch (decision.kind) {
    case 'seen':
    case 'quit':
      return { outcome: decision.kind, status: STATUS.ok, line };
    case 'failed':
      return { outcome: 'failed', status: STATUS.failed, line: explain(decision.error) };
    case 'timeout':
      return {
        outcome: 'timeout',
        status: STATUS.limit,
        line: line ?? `the time limit of ${decision.seconds} s is over`,
      };
    case 'signal':
      return { outcome: 'signal', status: STATUS.signal + SIGNAL_NUMBERS[decision.signal], line };
  }
}

function ofSummary({ reason, code }: RunSummary, waitFor: boolean): RunResult {
  if (reason === 'limit') {
    return { outcome: reason, status: STATUS.limit, line: 'the limit of instructions is reached' };
  }
  if (reason === 'requested') return { outcome: reason, status: STATUS.failed, line: 'the engine was told to stop' };
  if (waitFor) {
    return {
      outcome: 'not-seen',
      status: STATUS.notSeen,
      line: 'the guest stopped before the console showed what was waited for',
    };
  }
  // A failure without a code is a failure still.
  return { outcome: reason, status: statusFor(reason === 'fail' ? code || 1 : code), line: undefined };
}

/** Exit statuses have eight bits: what does not fit must not look like success. */
function statusFor(code: number): number {
  return code >= 0 && code <= 255 ? code : 255;
}
