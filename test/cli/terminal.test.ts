import { describe, expect, it } from 'vitest';
import { small } from './command.ts';
import { PseudoTerminal } from './pseudo-terminal.ts';

const CTRL_A = '\x01';

describe('a terminal', () => {
  it('gets the guest every key as typed, and tells it the size of the window', async () => {
    const terminal = new PseudoTerminal(small('talk'));
    await terminal.shows('# ');
    expect(terminal.screen).toContain('[33x101]hello from talk');
    // Control characters that a terminal in its usual mode would take for itself: ^C ^Z ^D ^\ ^S ^Q.
    terminal.type('a\x03\x1a\x04\x1c\x13\x11b\r');
    await terminal.shows('# a\x03\x1a\x04\x1c\x13\x11b\r');
    terminal.type('off\r');
    expect(await terminal.end()).toMatchObject({ status: 0, restored: true });
  });

  it('knows Ctrl-A h, Ctrl-A Ctrl-A and Ctrl-A x', async () => {
    const terminal = new PseudoTerminal(small('talk'));
    await terminal.shows('# ');
    terminal.type(`${CTRL_A}h`);
    await terminal.shows('Ctrl-A Ctrl-A  send Ctrl-A to the guest\r\n');
    terminal.type(`<${CTRL_A}${CTRL_A}>`);
    await terminal.shows(`<${CTRL_A}>`);
    terminal.type(`${CTRL_A}x`);
    expect(await terminal.end()).toMatchObject({ status: 0, restored: true });
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const)('is as before after %s', async (signal, status) => {
    const terminal = new PseudoTerminal(small('talk'));
    await terminal.shows('# ');
    terminal.signal(signal);
    expect(await terminal.end()).toMatchObject({ status, restored: true });
  });

  it.each([
    ['the guest stops', 'stop 7', 7, ''],
    ['the engine crashes', 'abort', 125, 'afterimage: the engine ended unexpectedly (SIGABRT)'],
    ['the engine fails', 'break', 125, 'afterimage: a mistake in a device; this is a mistake in Afterimage'],
    ['the files are wrong', 'refuse', 2, 'afterimage: cannot use x as kernel'],
  ])('is as before when %s', async (_, mode, status, message) => {
    const terminal = new PseudoTerminal(small(mode));
    const end = await terminal.end();
    expect(end).toMatchObject({ status, restored: true });
    expect(terminal.screen).toContain(message);
    expect(terminal.screen).not.toContain('    at ');
  });

  it('is as before when the command line itself fails', async () => {
    const terminal = new PseudoTerminal(small('talk'));
    await terminal.shows('# ');
    terminal.signal('SIGUSR2');
    expect(await terminal.end()).toMatchObject({ status: 125, restored: true });
    expect(terminal.screen).toContain('afterimage: a mistake in the command line');
    expect(terminal.screen).not.toContain('    at ');
  });

  it('is as before when the time is over', async () => {
    const terminal = new PseudoTerminal(small('sleep', '--timeout', '0.5'));
    expect(await terminal.end()).toMatchObject({ status: 124, restored: true });
    expect(terminal.screen).toContain('afterimage: the time limit of 0.5 s is over');
  });

  it('gets back the screen and the cursor that the guest took', async () => {
    const terminal = new PseudoTerminal(small('talk'));
    await terminal.shows('# ');
    terminal.type('\x1b[?1049h\x1b[?25lfull screen');
    await terminal.shows('full screen');
    terminal.type(`${CTRL_A}x`);
    await terminal.end();
    expect(terminal.screen.split('full screen')[1]).toContain('\x1b[?1049l\x1b[?25h');
  });

  it('is left alone when the input comes from elsewhere', async () => {
    const terminal = new PseudoTerminal(small('stop 0', '--input', '/dev/null'));
    expect(await terminal.end()).toMatchObject({ status: 0, restored: true });
    expect(terminal.screen).not.toContain('\x1b');
  });
});
