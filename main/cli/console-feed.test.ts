import { describe, expect, it } from 'vitest';
import { INPUT_WINDOW } from '../../engine/api/messages.ts';
import { ConsoleFeed } from './console-feed.ts';

function setUp(spare: number) {
  const sent: Uint8Array[] = [];
  const state = { paused: false };
  const source = {
    pause: () => {
      state.paused = true;
    },
    resume: () => {
      state.paused = false;
    },
  };
  const feed = new ConsoleFeed({ source, spare, send: bytes => sent.push(bytes) });
  const sentBytes = () => sent.reduce((sum, bytes) => sum + bytes.length, 0);
  return { feed, sent, sentBytes, state };
}

describe('ConsoleFeed', () => {
  it('sends at once while the window is open', () => {
    const { feed, sent, state } = setUp(0);
    feed.write(Uint8Array.of(1, 2));
    feed.write(new Uint8Array(0));
    feed.write(Uint8Array.of(3));
    expect(sent.map(bytes => [...bytes])).toEqual([[1, 2], [3]]);
    expect(state.paused).toBe(false);
  });

  it('never sends more than the window, holds the source back meanwhile, and loses nothing', () => {
    const { feed, sent, sentBytes, state } = setUp(0);
    const bytes = Uint8Array.from({ length: INPUT_WINDOW * 3 + 5 }, (_, i) => i % 251);
    feed.write(bytes.subarray(0, 100));
    feed.write(bytes.subarray(100));
    expect(sentBytes()).toBe(INPUT_WINDOW);
    expect(state.paused).toBe(true);
    feed.accepted(10);
    expect(sentBytes()).toBe(INPUT_WINDOW + 10);
    expect(state.paused).toBe(true);
    feed.accepted(INPUT_WINDOW);
    expect(state.paused).toBe(true);
    feed.accepted(INPUT_WINDOW);
    expect(state.paused).toBe(false);
    expect(Buffer.concat(sent).equals(Buffer.from(bytes))).toBe(true);
  });

  it('lets a person type ahead before the source is held back', () => {
    const { feed, state } = setUp(1000);
    feed.write(new Uint8Array(INPUT_WINDOW + 1000));
    expect(state.paused).toBe(false);
    feed.write(new Uint8Array(1));
    expect(state.paused).toBe(true);
    feed.accepted(1);
    expect(state.paused).toBe(false);
  });
});
