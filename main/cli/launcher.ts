// What started this command: a shell, or a program of our own or of npm that only waits for it.

/** How soon a machine follows its launcher. Nothing tells us at once: such an end is asked for by looking. */
const CHECK_MILLISECONDS = 500;

/** Calls back when the launcher is gone; a command that a shell started may well outlive the shell. */
export function whenLauncherEnds(gone: () => void, environment: NodeJS.ProcessEnv = process.env): void {
  if (!hasLauncher(environment)) return;
  const launcher = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === launcher) return;
    clearInterval(timer);
    gone();
  }, CHECK_MILLISECONDS);
  timer.unref();
}

/** Whether afterimage.mjs on an older Node, or npm for a script that is this command, waits for this process. */
function hasLauncher(environment: NodeJS.ProcessEnv): boolean {
  if (environment.AFTERIMAGE_RESTARTED === '1') return true;
  const script = environment.npm_lifecycle_script ?? '';
  return script.includes('afterimage') && !script.includes('&');
}
