import { describe, expect, it } from 'vitest';
import { AfterimageError } from '../../engine/base/errors.ts';
import { VirtioBlock } from '../../engine/devices/virtio/block/device.ts';
import { RESULT, TYPE } from '../../engine/devices/virtio/block/protocol.ts';
import { type BlockState, blockSection } from '../../engine/devices/virtio/block/state.ts';
import { decode, encode } from '../../engine/state/section.ts';
import { deviceContract } from '../contract/device.ts';
import { ScriptedBackend } from './backend.ts';
import { BlockDriver, pattern } from './block-driver.ts';
import { type DriverOptions, Surroundings, TestDriver } from './driver.ts';
import { FakeMemory } from './memory.ts';

function parts() {
  const memory = new FakeMemory(64, 2);
  const surroundings = new Surroundings();
  const backend = new ScriptedBackend(memory, 64 * 512);
  return { name: 'disk0', memory, irq: surroundings, errors: surroundings, backend, serial: 's' };
}

const memories = new WeakMap<VirtioBlock, FakeMemory>();

deviceContract('virtio-blk', {
  section: blockSection,
  window: 0x1000,
  make: () => {
    const surroundings = parts();
    const device = new VirtioBlock(surroundings);
    memories.set(device, surroundings.memory);
    return device;
  },
  restore: state => VirtioBlock.restore(parts(), state),
  disturb: device => {
    const driver = new TestDriver(device, memories.get(device)!, { indirect: true, eventIndex: true });
    const queue = driver.start(1)[0]!;
    for (const type of [TYPE.IN, TYPE.OUT, TYPE.FLUSH, TYPE.GET_ID]) {
      const header = driver.range(16);
      driver.put(header, Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0, 3));
      const data = type === TYPE.FLUSH ? [] : [driver.range(5 * 512)];
      const status = driver.range(1);
      if (type === TYPE.OUT) queue.add([header, ...data], [status]);
      else queue.add([header], [...data, status]);
    }
    queue.kick();
  },
  offsets: Array.from({ length: 0x44 }, (_, index) => index * 4),
});

describe('the state of virtio-blk', () => {
  const options: DriverOptions = { indirect: true, eventIndex: true };

  /** A disk with a read, a write and a flush in flight, restored from its own state. */
  function restored(more: DriverOptions = options) {
    const block = new BlockDriver(more);
    block.backend.content.set(pattern(2048, 9), 1024);
    const read = block.add(TYPE.IN, 2, 2048, 600);
    const write = block.add(TYPE.OUT, 20, pattern(1024, 5));
    const flush = block.add(TYPE.FLUSH, 0, 0);
    block.queue.kick();
    const before = block.device.inFlight;
    block.restore();
    return { block, read, write, flush, before };
  }

  it('lists what is in flight', () => {
    const { block, read, write, flush, before } = restored();
    expect(before).toMatchObject([
      { id: 0, head: read.head, kind: 'read', offset: 1024, length: 2048, dormant: false },
      { id: 1, head: write.head, kind: 'write', offset: 10240, length: 1024, dormant: false },
      { id: 2, head: flush.head, kind: 'flush', offset: 0, length: 0, ranges: [], dormant: false },
    ]);
    expect(before[0]?.ranges.reduce((sum, { length }) => sum + length, 0)).toBe(2048);
    expect(before[0]?.ranges[0]).toEqual({ address: read.data.address, length: 600 });
    expect(block.device.inFlight).toEqual(before.map(request => ({ ...request, dormant: true })));
    expect(block.device.outstanding).toBe(0);
    expect(block.memory.pinnedPages).toBe(0);
  });

  it('is of the instant of its capture, whatever becomes of the requests before it is put together', () => {
    for (const later of ['completed', 'reset'] as const) {
      const block = new BlockDriver(options);
      block.add(TYPE.IN, 2, 2048, 600);
      block.add(TYPE.OUT, 20, pattern(1024, 5));
      block.queue.kick();
      const expected = block.device.save();
      const capture = block.device.capture();
      if (later === 'completed') block.backend.completeAll();
      else block.device.reset();
      expect(block.device.inFlight).toEqual([]);
      expect(capture()).toEqual(expected);
      expect(expected.inFlight).toHaveLength(2);
    }
  });

  it('settles restored requests whose data is in place', () => {
    const { block, read, write, flush } = restored();
    block.device.settle(1, 'ok');
    block.device.settle(0, 'io-error');
    block.device.settle(2, 'ok');
    block.device.settle(2, 'ok');
    block.device.settle(7, 'ok');
    expect([read, write, flush].map(asked => block.status(asked))).toEqual([RESULT.IOERR, RESULT.OK, RESULT.OK]);
    expect(block.queue.collect()).toEqual([
      { head: write.head, written: 1 },
      { head: read.head, written: 0 },
      { head: flush.head, written: 1 },
    ]);
    expect(block.surroundings.level).toBe(true);
    expect(block.device.inFlight).toEqual([]);
    expect(block.run(TYPE.FLUSH, 0).status).toBe(RESULT.OK);
    expect(block.backend.log.at(-1)?.id).toBe(3);
  });

  it('reissues restored requests', () => {
    const { block, read, write } = restored();
    block.backend.log.length = 0;
    for (const { id } of block.device.inFlight) block.device.reissue(id);
    block.device.reissue(0);
    expect(block.backend.log.map(({ id, kind }) => [id, kind])).toEqual([
      [0, 'read'],
      [1, 'write'],
      [2, 'flush'],
    ]);
    expect(block.device.inFlight.some(({ dormant }) => dormant)).toBe(false);
    block.backend.completeAll();
    expect(block.driver.take(read.data)).toEqual(pattern(2048, 9));
    expect(block.status(write)).toBe(RESULT.OK);
    expect(block.queue.collect()).toHaveLength(3);
    expect(block.memory.pinnedPages).toBe(0);
  });

  it('still flushes after a restored write when the driver relies on it', () => {
    const { block, write } = restored({ features: 0 });
    block.device.settle(1, 'ok');
    expect(block.pending(write)).toBe(true);
    expect(block.backend.waiting.map(({ request }) => request.kind)).toEqual(['flush']);
    block.backend.completeAll();
    expect(block.status(write)).toBe(RESULT.OK);
  });

  it('goes on taking requests beside dormant ones', () => {
    const { block, read } = restored();
    expect(block.run(TYPE.IN, 0, 512).status).toBe(RESULT.OK);
    expect(block.pending(read)).toBe(true);
    block.restart();
    expect(block.device.inFlight).toEqual([]);
    block.device.settle(0, 'ok');
    block.device.reissue(0);
    expect(block.queue.collect()).toEqual([]);
    expect(block.backend.waiting).toEqual([]);
  });

  it('raises the line again that was up', () => {
    const block = new BlockDriver();
    block.run(TYPE.FLUSH, 0);
    const surroundings = new Surroundings();
    VirtioBlock.restore({ ...block.parts, irq: surroundings }, block.device.save());
    expect(surroundings.level).toBe(true);
  });

  it('leaves out what a disabled queue no longer knows', () => {
    const block = new BlockDriver();
    block.add(TYPE.FLUSH, 0, 0);
    block.queue.kick();
    block.driver.set(0x30, 0);
    block.driver.set(0x44, 0);
    expect(block.device.save().inFlight).toEqual([]);
    block.restore();
  });

  const busy = () => {
    const block = new BlockDriver(options);
    block.add(TYPE.IN, 2, 2048);
    block.add(TYPE.OUT, 2, pattern(512, 1));
    block.queue.kick();
    return block;
  };
  type Change = (state: BlockState) => object;
  const request = (state: BlockState, change: object) => ({
    inFlight: [{ ...state.inFlight[0]!, ...change }, state.inFlight[1]!],
  });
  const transport = (state: BlockState, change: object) => ({ transport: { ...state.transport, ...change } });
  const queue = (state: BlockState, change: object) =>
    transport(state, { queues: [{ ...state.transport.queues[0]!, ...change }] });

  it.each<[string, Change]>([
    ['an unknown status bit', s => transport(s, { status: s.transport.status | 16 })],
    ['readiness without features', s => transport(s, { status: 7 })],
    ['features that this disk does not offer', s => transport(s, { driverFeaturesLow: 1 })],
    ['an unknown interrupt', s => transport(s, { interruptStatus: 4 })],
    ['a bad queue size', s => queue(s, { size: 3 })],
    ['an odd queue address', s => queue(s, { descriptors: 1n })],
    ['a queue that is off but has indices', s => queue(s, { ready: false })],
    ['a request beyond the disk', s => request(s, { offset: 2 ** 40 })],
    ['a request at half a sector', s => request(s, { offset: 100 })],
    ['a head outside the queue', s => request(s, { head: 256 })],
    ['one head twice', s => request(s, { head: s.inFlight[1]!.head })],
    ['one id twice', s => request(s, { id: 1 })],
    ['memory of another length', s => request(s, { ranges: [{ address: 0, length: 1 }] })],
    ['a read of length 0', s => request(s, { length: 0, ranges: [] })],
    ['a used length that is too long', s => request(s, { written: 2050 })],
    ['a read that flushes', s => request(s, { flushAfter: true })],
  ])('is refused with %s', (_what, change) => {
    const block = busy();
    const state = block.device.save();
    VirtioBlock.restore(block.parts, state);
    const bytes = encode(blockSection, { ...state, ...change(state) });
    const attempt = () => VirtioBlock.restore(block.parts, decode(blockSection, bytes));
    expect(attempt).toThrow(AfterimageError);
    expect(attempt).toThrow(/virtio-blk is damaged/);
  });

  it('is refused for a disk that became read-only', () => {
    const block = busy();
    const state = block.device.save();
    const backend = new ScriptedBackend(block.memory, block.backend.size, true);
    expect(() => VirtioBlock.restore({ ...block.parts, backend }, state)).toThrow(/not offered/);
  });
});
