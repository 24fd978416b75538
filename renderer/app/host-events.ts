// What the host announces, brought to the state that it concerns.
import type { DiskJobKind, JobView } from '../../engine/api/control.ts';
import type { Identity, MachineState } from '../../engine/api/machine.ts';
import type { AppEvent, Notice, PageCommand } from '../../preload/contract/events.ts';
import type { Application } from '../state/application.svelte.ts';
import type { MachineSession } from '../state/machine-session.svelte.ts';
import type { MachineTab } from '../state/router.svelte.ts';
import { COMMON } from '../text/common.ts';
import { explain, sentences } from '../text/errors.ts';
import { SHELL } from '../text/shell.ts';
import { describeJob } from '../views/activity/describe.ts';
import { currentMachine, importFile } from './commands.ts';
import type { MachineActions } from './machine-actions.ts';

/** Long enough to come back to the window and read it. */
const NOTICE_MILLISECONDS = 15_000;

/** Returns what ends it. */
export function followHost(application: Application, actions: MachineActions): () => void {
  return application.app.onEvent(event => handle(event, application, actions));
}

function handle(event: AppEvent, application: Application, actions: MachineActions): void {
  const { machines, settings, dialogs } = application;
  switch (event.event) {
    case 'library':
      machines.adopt(event.library);
      break;
    case 'machine-event':
      machines.handle(event.machine, event.happened);
      if (event.happened.event === 'status') withdrawPast(event.machine, event.happened.status.state, application);
      if (event.happened.event === 'job') showJob(event.machine, event.happened.job, application);
      break;
    case 'settings':
      settings.adopt(event.settings);
      break;
    case 'activity':
      // Views that show it listen themselves.
      break;
    case 'notice':
      showNotice(event.notice, application);
      break;
    case 'file-opened':
      dialogs.show({ kind: 'import', file: event.file });
      break;
    case 'command':
      obey(event.command, machines.find(event.machine) ?? currentMachine(application), application, actions);
      break;
    case 'quitting':
      application.notifications.show({ title: SHELL.quitting, key: 'quitting' });
      break;
    case 'connection':
      application.setConnection(event.state === 'back' ? 'there' : event.state);
      if (event.state === 'back') void application.load();
  }
}

const DISK_JOBS: ReadonlySet<string> = new Set([
  'overlay',
  'commit',
  'stream',
  'compact',
  'check',
  'resize',
  'delete',
] satisfies DiskJobKind[]);
const JOB_TONES = { done: 'good', failed: 'error', cancelled: 'info' } as const;

/** How a job on a disk has ended: what was found, freed or went wrong. */
function showJob(machine: Identity, job: JobView, { notifications, router }: Application): void {
  if (job.state === 'running' || !DISK_JOBS.has(job.kind)) return;
  const { title, text } = describeJob(job);
  notifications.show({
    tone: JOB_TONES[job.state],
    title,
    text,
    action: { text: SHELL.activity, run: () => router.openMachine(machine, 'activity') },
    key: `job/${machine}/${job.job}`,
  });
}

function showNotice({ level, title, text, machine, error }: Notice, { notifications, router }: Application): void {
  const advice = error === undefined ? undefined : explain(error).advice;
  notifications.show({
    tone: level,
    title,
    text: sentences(text, advice),
    action: machine === undefined ? undefined : { text: COMMON.show, run: () => router.openMachine(machine) },
    // Of what happened by itself the machine's badge and the activity list tell as long as one likes.
    stays: machine !== undefined && level === 'error' ? NOTICE_MILLISECONDS : undefined,
    key: `notice/${machine ?? ''}/${title}`,
  });
}

/** What was told of the last run is over with the next one, and nobody is to be forced off who is off. */
function withdrawPast(machine: Identity, state: MachineState, { notifications }: Application): void {
  if (state === 'starting') notifications.withdraw(`notice/${machine}/`);
  if (state === 'off' || state === 'failed' || state === 'starting') notifications.withdraw(`stop/${machine}`);
}

/** What menus, tray and notifications ask for. What needs a machine does nothing where there is none. */
function obey(
  command: PageCommand,
  session: MachineSession | undefined,
  application: Application,
  actions: MachineActions,
): void {
  const { dialogs, router } = application;
  const open = (tab?: MachineTab) => session && router.openMachine(session.id, tab);
  const doings: Readonly<Record<PageCommand, () => unknown>> = {
    'new-machine': () => dialogs.show({ kind: 'create' }),
    import: () => importFile(application),
    palette: () => dialogs.show({ kind: 'palette' }),
    settings: () => router.go({ page: 'settings' }),
    about: () => router.go({ page: 'about' }),
    activity: () => router.go({ page: 'activity' }),
    'zoom-in': () => application.zoomConsole('zoom-in'),
    'zoom-out': () => application.zoomConsole('zoom-out'),
    'zoom-reset': () => application.zoomConsole('zoom-reset'),
    'show-machine': () => open(),
    'show-console': () => open('console'),
    'show-tree': () => open('checkpoints'),
    'show-disks': () => open('disks'),
    'show-memory': () => open('memory'),
    checkpoint: () => session && actions.checkpoint(session),
    start: () => session && actions.start(session),
    stop: () => session && actions.stop(session),
    search: () => session?.screen?.openSearch(),
  };
  doings[command]();
}
