#!/usr/bin/env node
// The `afterimage` command. Plain JavaScript that old versions of Node understand too: it finds one that is new enough.
import { spawn } from 'node:child_process';
import { closeSync, existsSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const LEAST_NODE = 24;
/** As shells have it: 128 and the number of the signal. */
const KILLED_STATUS = 128 + 9;
const own = fileURLToPath(import.meta.url);
const arguments_ = process.argv.slice(2);

if (Number.parseInt(process.versions.node, 10) >= LEAST_NODE) {
  keepCompiledCode();
  const { main } = await import('./main.ts');
  await main(new URL('../../engine/host/process.ts', import.meta.url));
} else {
  restartWithNewerNode();
}

/** Compiled code is kept from run to run, by the engine process too: a start takes a third of the time. */
function keepCompiledCode() {
  const folder = fileURLToPath(new URL('../../node_modules/.cache/afterimage', import.meta.url));
  module.enableCompileCache?.(folder);
  process.env.NODE_COMPILE_CACHE ??= folder;
}

/** The package brings its own Node for the usual platforms; npm links it beside the other programs. */
function restartWithNewerNode() {
  const program = process.platform === 'win32' ? 'node.cmd' : 'node';
  const newer = fileURLToPath(new URL(`../../node_modules/.bin/${program}`, import.meta.url));
  // The mark keeps an old Node in that place from starting itself for ever.
  if (!existsSync(newer) || process.env.AFTERIMAGE_RESTARTED === '1') {
    process.stderr.write(
      `afterimage: Node ${LEAST_NODE} or newer is needed, and this is ${process.version}; ` +
        'run `npm ci` in the folder of Afterimage, or install a newer Node\n',
    );
    process.exit(2);
  }
  const child = spawn(newer, [own, ...arguments_], {
    stdio: 'inherit',
    shell: process.platform === 'win32',
    env: { ...process.env, AFTERIMAGE_RESTARTED: '1' },
  });
  // Sent to us alone they would leave the child behind. Sent to both they reach it twice, which it knows.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(signal, () => child.kill(signal));
  // Old versions of Node abort when they put back a terminal that is gone.
  let hungUp = false;
  process.on('SIGHUP', () => {
    hungUp = true;
  });
  child.on('error', error => {
    process.stderr.write(`afterimage: a newer Node cannot be started (${error.message})\n`);
    process.exit(2);
  });
  child.on('exit', (code, signal) => {
    if (hungUp) [0, 1, 2].map(descriptor => closeSync(descriptor));
    if (signal === null) process.exit(code ?? 1);
    // At a regular exit Node puts the terminal back, which the child could not do.
    if (signal === 'SIGKILL') process.exit(KILLED_STATUS);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
