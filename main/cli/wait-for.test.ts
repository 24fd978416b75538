import { describe, expect, it } from 'vitest';
import { ConsoleWatch } from './wait-for.ts';

function seenAt(expression: RegExp, ...parts: (string | Uint8Array)[]): number {
  const watch = new ConsoleWatch(expression);
  return parts.findIndex(part => watch.feed(typeof part === 'string' ? Buffer.from(part) : part));
}

describe('ConsoleWatch', () => {
  it('sees an expression in one chunk and across several', () => {
    expect(seenAt(/login:/m, 'Debian\r\nlogin: ')).toBe(0);
    expect(seenAt(/login:/m, 'lo', 'gi', 'n', ':')).toBe(3);
    expect(seenAt(/login:/m, 'log', 'out:')).toBe(-1);
  });

  it('takes the ends of lines for ends, also before a carriage return', () => {
    expect(seenAt(/^ready$/m, 'not ready\r\nready\r\n')).toBe(0);
    expect(seenAt(/^ready$/m, 'not ready\r\n')).toBe(-1);
  });

  it('puts characters together that were cut in two', () => {
    const [first, second] = [Buffer.from('grüße').subarray(0, 3), Buffer.from('grüße').subarray(3)];
    expect(seenAt(/grüße/m, first, second)).toBe(1);
  });

  it('forgets what is far back, and no more', () => {
    expect(seenAt(/start[\s\S]*end/m, 'start', 'x'.repeat(16_000), 'end')).toBe(2);
    expect(seenAt(/start[\s\S]*end/m, 'start', 'x'.repeat(17_000), 'end')).toBe(-1);
  });
});
