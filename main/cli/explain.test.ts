import { describe, expect, it } from 'vitest';
import { explain } from './explain.ts';

describe('explain', () => {
  it('names the file, the reason and what to do', () => {
    expect(explain({ kind: 'missing', message: 'The file does not exist', context: { path: 'a.img' } })).toBe(
      'a.img: the file does not exist; check the path',
    );
    expect(
      explain({ kind: 'locked', message: 'The file is in use', context: { path: 'a.img', lock: 'a.img.lock' } }),
    ).toMatch(/^a\.img: the file is in use; end that run first.* delete a\.img\.lock$/);
  });

  it('adds nothing to a message that says what to do', () => {
    const message = 'Cannot use a.img as kernel: it is for another machine; give one for riscv64';
    expect(explain({ kind: 'unsupported', message, context: {} })).toBe(`c${message.slice(1)}`);
  });

  it('leaves names in capitals alone', () => {
    expect(explain({ kind: 'usage', message: 'ELF files run alone', context: {} })).toBe('ELF files run alone');
  });

  it('is one harmless line whatever the file is called', () => {
    const path = 'a\nb\x1b[2J\u2028\x9bc';
    expect(explain({ kind: 'io', message: 'It failed', context: { path } })).toBe('a?b?[2J??c: it failed');
  });

  it('takes the blame', () => {
    expect(explain({ kind: 'internal', message: 'x is not a function', context: {} })).toMatch(/mistake in Afterimage/);
  });
});
