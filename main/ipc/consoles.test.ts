import { expect, test } from 'vitest';
import { CONSOLE_WINDOW, type ConsoleMessage } from '../../preload/contract/console.ts';
import { Consoles } from './consoles.ts';
import { FakeMachines } from './fake-machines.ts';

function open() {
  const machines = new FakeMachines();
  const machine = machines.add('Debian', 'running');
  const consoles = new Consoles(machines);
  const page = () => {
    const messages: ConsoleMessage[] = [];
    const opened = consoles.open(machine, { send: message => messages.push(message) });
    const bytes = () => messages.flatMap(message => (message.kind === 'output' ? [message.bytes] : []));
    return {
      messages,
      opened,
      text: () => Buffer.concat(bytes()).toString(),
      length: () => Buffer.concat(bytes()).length,
    };
  };
  const asked = (name: string) => machines.calls.filter(call => call.name === name).map(call => call.arguments);
  return { machines, machine, page, asked };
}

test('the machine is attached to once, and let go of with the last page', () => {
  const { page, asked } = open();
  const [one, two] = [page(), page()];
  expect(asked('console-attach')).toHaveLength(1);
  one.opened.close();
  expect(asked('console-detach')).toEqual([]);
  two.opened.close();
  expect(asked('console-detach')).toHaveLength(1);
});

test('a page that comes later gets what was printed before', () => {
  const { machines, machine, page } = open();
  const first = page();
  machines.print(machine, 'login: ');
  const second = page();
  machines.print(machine, 'root');
  expect([first.text(), second.text()]).toEqual(['login: root', 'login: root']);
});

test('no more is sent than a page has taken, and nothing is lost', () => {
  const { machines, machine, page, asked } = open();
  const one = page();
  const block = 'x'.repeat(300_000);
  machines.print(machine, block);
  machines.print(machine, block);
  machines.print(machine, block);
  expect(one.length()).toBe(CONSOLE_WINDOW);
  expect(asked('console-taken')).toEqual([]);
  one.opened.receive({ kind: 'taken', count: 300_000 });
  expect(one.length()).toBe(CONSOLE_WINDOW + 300_000);
  expect(asked('console-taken')).toEqual([{ count: 300_000 }]);
  one.opened.receive({ kind: 'taken', count: CONSOLE_WINDOW });
  expect(one.length()).toBe(900_000);
});

test('a page that says it took more than it got does not open its window', () => {
  const { machines, machine, page, asked } = open();
  const one = page();
  machines.print(machine, 'abc');
  one.opened.receive({ kind: 'taken', count: Number.MAX_SAFE_INTEGER });
  expect(asked('console-taken')).toEqual([{ count: 3 }]);
  machines.print(machine, 'x'.repeat(2 * CONSOLE_WINDOW));
  expect(one.length()).toBe(3 + CONSOLE_WINDOW);
});

test('a page that has stopped taking does not hold up the other', () => {
  const { machines, machine, page } = open();
  const [quick, slow] = [page(), page()];
  const block = 'y'.repeat(CONSOLE_WINDOW / 2);
  for (let round = 0; round < 8; round++) {
    machines.print(machine, block);
    quick.opened.receive({ kind: 'taken', count: block.length });
  }
  machines.print(machine, 'the end');
  expect(quick.text().endsWith('the end')).toBe(true);
  expect(slow.length()).toBe(CONSOLE_WINDOW);
  // It goes on with what is still there, in order and up to the end.
  for (let round = 0; round < 10; round++) slow.opened.receive({ kind: 'taken', count: CONSOLE_WINDOW });
  expect(slow.text().endsWith('ythe end')).toBe(true);
  expect(slow.length()).toBeLessThan(quick.length());
});

test('what is typed is accepted when the machine has it, and lost without a machine', async () => {
  const { machines, page, asked } = open();
  const one = page();
  one.opened.receive({ kind: 'input', bytes: new TextEncoder().encode('ls\r') });
  await expect.poll(() => one.messages.at(-1)).toEqual({ kind: 'accepted', count: 3 });
  expect(asked('console-input')).toHaveLength(1);
  machines.answers.set('console-input', () => {
    throw new Error('off');
  });
  one.opened.receive({ kind: 'input', bytes: new TextEncoder().encode('x') });
  await expect.poll(() => one.messages.at(-1)).toEqual({ kind: 'accepted', count: 1 });
});

test('after a crash and a new start the same page goes on', async () => {
  const { machines, machine, page, asked } = open();
  const one = page();
  machines.print(machine, 'before ');
  machines.crash(machine);
  expect(one.messages.at(-1)).toEqual({ kind: 'idle' });
  await machines.call(machine, 'start', {});
  expect(one.messages.at(-1)).toEqual({ kind: 'running' });
  expect(asked('console-attach')).toHaveLength(2);
  machines.print(machine, 'after');
  expect(one.text()).toBe('before after');
});

test('messages that are none are refused', () => {
  const { page } = open();
  const one = page();
  for (const message of [
    undefined,
    { kind: 'output' },
    { kind: 'input', bytes: 'text' },
    { kind: 'input', bytes: new Uint8Array(1024 * 1024) },
    { kind: 'resize', size: { rows: 0, columns: 80 } },
    { kind: 'taken', count: -1 },
  ]) {
    expect(() => one.opened.receive(message)).toThrow(expect.objectContaining({ kind: 'usage' }));
  }
});
