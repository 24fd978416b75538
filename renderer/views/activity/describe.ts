// An entry of the activity list in words.
import type { ActivityEntry } from '../../../preload/contract/library.ts';
import type { IconName } from '../../components/icons.ts';
import { ACTIVITY_TEXT as TEXT } from '../../text/activity.ts';
import { explain } from '../../text/errors.ts';
import { formatBytes, formatDuration, formatPause } from '../../text/format.ts';

export interface Description {
  readonly icon: IconName;
  readonly tone: 'plain' | 'good' | 'bad' | 'warn' | 'accent';
  readonly title: string;
  readonly text?: string;
}

export function describe({ what }: ActivityEntry): Description {
  switch (what.kind) {
    case 'job':
      return describeJob(what.job);
    case 'checkpoint': {
      const { name, pauseMicroseconds, bytes, durationMilliseconds } = what.taken;
      const text = TEXT.happened.checkpointFacts(
        formatPause(pauseMicroseconds),
        formatBytes(bytes),
        formatDuration(durationMilliseconds),
      );
      return { icon: 'checkpoint', tone: 'good', title: TEXT.happened.checkpoint(name), text };
    }
    case 'checkpoint-failed':
    case 'crashed':
      return { icon: 'warning', tone: 'bad', title: TEXT.happened[what.kind], text: sentence(what.error) };
    case 'warning':
      return { icon: 'warning', tone: 'warn', title: TEXT.happened.warning, text: sentence(what.error) };
    case 'ended': {
      const text = what.error === undefined ? {} : { text: sentence(what.error) };
      const tone = what.error === undefined ? 'plain' : 'bad';
      return { icon: 'power', tone, title: TEXT.happened.ended(what.reason), ...text };
    }
    case 'started':
      return { icon: 'play', tone: 'good', title: TEXT.happened.started };
    case 'imported':
    case 'created':
    case 'appeared':
      return { icon: 'plus', tone: 'plain', title: TEXT.happened[what.kind] };
    case 'deleted':
    case 'vanished':
      return { icon: 'trash', tone: what.kind === 'vanished' ? 'warn' : 'plain', title: TEXT.happened[what.kind] };
  }
}

type Job = Extract<ActivityEntry['what'], { readonly kind: 'job' }>['job'];

export function describeJob(job: Job): Description {
  const title = TEXT.jobTitle(TEXT.jobs[job.kind], job.subject);
  const took = job.endedAt === undefined ? undefined : TEXT.took(formatDuration(job.endedAt - job.startedAt));
  const text = [
    TEXT.states[job.state],
    job.outcome,
    job.state === 'done' && job.total > 0 ? formatBytes(job.done) : undefined,
    took,
    job.error === undefined ? undefined : sentence(job.error),
  ]
    .filter(part => part !== undefined)
    .join(' · ');
  const tone = { running: 'accent', done: 'good', failed: 'bad', cancelled: 'plain' } as const;
  const icon = { running: 'activity', done: 'check', failed: 'warning', cancelled: 'close' } as const;
  return { icon: icon[job.state], tone: tone[job.state], title, text };
}

function sentence(error: Parameters<typeof explain>[0]): string {
  const { text, advice } = explain(error);
  return advice === undefined ? text : `${text}. ${advice}`;
}
