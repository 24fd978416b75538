import { describe, expect, it } from 'vitest';
import { guestPhys } from '../../engine/base/addresses.ts';
import { FEATURE, RESULT, TYPE } from '../../engine/devices/virtio/block/protocol.ts';
import { REGISTER } from '../../engine/devices/virtio/transport/registers.ts';
import { Random } from '../contract/random.ts';
import { type Asked, BlockDriver, pattern } from './block-driver.ts';

describe('virtio-blk', () => {
  it.each([
    ['plain', {}],
    ['with indirect tables', { indirect: true }],
    ['with the event index', { eventIndex: true }],
    ['with both', { indirect: true, eventIndex: true }],
  ])('writes, flushes and reads back (%s)', (_name, options) => {
    const block = new BlockDriver(options);
    const bytes = pattern(20 * 512, 1);
    const written = block.run(TYPE.OUT, 100, bytes);
    expect(written).toMatchObject({ status: RESULT.OK, used: { written: 1 } });
    expect(block.backend.content.subarray(100 * 512, 120 * 512)).toEqual(bytes);
    expect(block.run(TYPE.FLUSH, 0)).toMatchObject({ status: RESULT.OK, used: { written: 1 } });
    const read = block.run(TYPE.IN, 98, 24 * 512);
    expect(read).toMatchObject({ status: RESULT.OK, used: { written: 24 * 512 + 1 } });
    expect(read.data.subarray(2 * 512, 22 * 512)).toEqual(bytes);
    expect(block.backend.log.map(({ kind }) => kind)).toEqual(['write', 'flush', 'read']);
    expect(block.memory.pinnedPages).toBe(0);
    expect(block.surroundings.errorCount).toBe(0);
  });

  it('tells the driver of a disk that has got larger, and serves what is new', () => {
    const block = new BlockDriver({ sectors: 64 });
    const capacity = () => block.device.read(REGISTER.CONFIG, 4);
    expect([capacity(), block.run(TYPE.OUT, 64, pattern(512, 1)).status]).toEqual([64, RESULT.IOERR]);
    block.driver.acknowledge();
    const generation = block.device.read(REGISTER.CONFIG_GENERATION, 4);
    block.backend.grow(128 * 512);
    expect(block.driver.acknowledge()).toEqual({ used: false, config: true });
    expect(capacity()).toBe(128);
    expect(block.device.read(REGISTER.CONFIG_GENERATION, 4)).not.toBe(generation);
    expect(block.run(TYPE.OUT, 127, pattern(512, 1)).status).toBe(RESULT.OK);
    expect(block.run(TYPE.OUT, 128, pattern(512, 1)).status).toBe(RESULT.IOERR);
  });

  it('takes requests cut into descriptors anywhere', () => {
    const block = new BlockDriver({ sectors: 64 });
    const { driver, queue, backend } = block;
    const bytes = pattern(1024, 2);
    // The header runs into the data, and the data into the status.
    const request = driver.range(16 + 1024);
    const whole = new Uint8Array(16 + 1024);
    whole.set([TYPE.OUT, 0, 0, 0, 0, 0, 0, 0, 5]);
    whole.set(bytes, 16);
    driver.put(request, whole);
    const cuts = [7, 30, 531].map((end, index, ends) => {
      const start = ends[index - 1] ?? 0;
      return { address: guestPhys(request.address + start), length: end - start };
    });
    cuts.push({ address: guestPhys(request.address + 531), length: 1040 - 531 });
    const status = driver.range(1);
    queue.add(cuts, [status]);
    queue.notify();
    backend.completeAll();
    expect(driver.take(status)[0]).toBe(RESULT.OK);
    expect(backend.content.subarray(5 * 512, 7 * 512)).toEqual(bytes);

    const header = driver.range(16);
    driver.put(header, Uint8Array.of(TYPE.IN, 0, 0, 0, 0, 0, 0, 0, 5));
    const answer = driver.range(1025);
    queue.add(
      [header],
      [
        { address: answer.address, length: 1 },
        { address: guestPhys(answer.address + 1), length: 1024 },
      ],
    );
    queue.notify();
    backend.completeAll();
    expect(driver.take(answer)).toEqual(Uint8Array.of(...bytes, RESULT.OK));
    expect(queue.collect().map(({ written }) => written)).toEqual([1, 1025]);
  });

  it('prepares the frames of a read for writing, and those of a write not', () => {
    const block = new BlockDriver();
    block.add(TYPE.OUT, 0, pattern(8192, 1));
    block.queue.kick();
    expect(block.memory.pinnedPages).toBeGreaterThanOrEqual(2);
    expect(block.memory.preparedPages.size).toBe(0);
    block.add(TYPE.IN, 0, 8192);
    block.queue.kick();
    expect(block.memory.preparedPages.size).toBeGreaterThanOrEqual(2);
    block.backend.completeAll();
    expect(block.memory.pinnedPages).toBe(0);
  });

  it('gives its serial, cut to the room there is', () => {
    const block = new BlockDriver();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    const whole = block.run(TYPE.GET_ID, 0, 20);
    expect(text(whole.data)).toBe('afterimage-0'.padEnd(20, '\0'));
    expect(whole.used.written).toBe(21);
    expect(text(block.run(TYPE.GET_ID, 0, 5).data)).toBe('after');
    const roomy = block.run(TYPE.GET_ID, 0, 30);
    expect([roomy.used.written, roomy.status]).toEqual([20, RESULT.OK]);
    expect(block.backend.log).toEqual([]);
  });

  it.each([
    ['a read past the end', TYPE.IN, 63, 1024, RESULT.IOERR],
    ['a read at a huge sector', TYPE.IN, 2 ** 53 - 1, 512, RESULT.IOERR],
    ['a write past the end', TYPE.OUT, 64, new Uint8Array(512), RESULT.IOERR],
    ['part of a sector', TYPE.IN, 0, 511, RESULT.IOERR],
    ['part of a sector to write', TYPE.OUT, 0, new Uint8Array(100), RESULT.IOERR],
    ['an unknown type', 77, 0, 0, RESULT.UNSUPP],
    ['a secure erase', 14, 0, new Uint8Array(16), RESULT.UNSUPP],
    ['nothing to read', TYPE.IN, 0, 0, RESULT.OK],
    ['nothing to write', TYPE.OUT, 64, 0, RESULT.OK],
  ])('answers %s without asking the disk', (_what, type, sector, data, status) => {
    const block = new BlockDriver({ sectors: 64 });
    expect(block.run(type, sector, data).status).toBe(status);
    expect(block.backend.log).toEqual([]);
    expect(block.surroundings.errorCount).toBe(0);
    expect(block.run(TYPE.FLUSH, 0).status).toBe(RESULT.OK);
  });

  const span = (sector: number, sectors: number, flags = 0) => {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, BigInt(sector), true);
    view.setUint32(8, sectors, true);
    view.setUint32(12, flags, true);
    return bytes;
  };

  it.each([
    ['discards', TYPE.DISCARD, span(8, 16), RESULT.OK, 'discard'],
    ['writes zeroes', TYPE.WRITE_ZEROES, span(8, 16), RESULT.OK, 'write-zeroes'],
    ['writes zeroes that may unmap', TYPE.WRITE_ZEROES, span(8, 16, 1), RESULT.OK, 'write-zeroes'],
    ['discards nothing', TYPE.DISCARD, span(64, 0), RESULT.OK, undefined],
    ['refuses to discard with a flag', TYPE.DISCARD, span(8, 16, 1), RESULT.UNSUPP, undefined],
    ['refuses an unknown flag', TYPE.WRITE_ZEROES, span(8, 16, 2), RESULT.UNSUPP, undefined],
    ['refuses two segments', TYPE.DISCARD, Uint8Array.of(...span(0, 1), ...span(2, 1)), RESULT.UNSUPP, undefined],
    ['refuses half a segment', TYPE.DISCARD, span(0, 1).subarray(0, 8), RESULT.IOERR, undefined],
    ['refuses a segment and a half', TYPE.WRITE_ZEROES, new Uint8Array(24), RESULT.IOERR, undefined],
    ['refuses a range past the end', TYPE.DISCARD, span(60, 5), RESULT.IOERR, undefined],
    ['refuses more than it offers', TYPE.WRITE_ZEROES, span(0, 2 ** 31), RESULT.IOERR, undefined],
  ])('%s', (_what, type, bytes, status, kind) => {
    const block = new BlockDriver({ sectors: 64 });
    block.backend.content.fill(1);
    expect(block.run(type, 0, bytes).status).toBe(status);
    expect(block.backend.log.map(request => [request.kind, request.offset, request.length])).toEqual(
      kind === undefined ? [] : [[kind, 8 * 512, 16 * 512]],
    );
  });

  it('bounds discards and zeroes on a large disk', () => {
    const block = new BlockDriver();
    Object.defineProperty(block.backend, 'content', { value: { length: 2 ** 45, fill: () => {} } });
    block.restore();
    const run = (type: number, sectors: number) => block.run(type, 0, span(0, sectors)).status;
    expect(run(TYPE.DISCARD, 2 ** 21)).toBe(RESULT.OK);
    expect(run(TYPE.DISCARD, 2 ** 21 + 1)).toBe(RESULT.IOERR);
    expect(run(TYPE.WRITE_ZEROES, 2 ** 17)).toBe(RESULT.OK);
    expect(run(TYPE.WRITE_ZEROES, 2 ** 17 + 1)).toBe(RESULT.IOERR);
    expect(block.device.read(0x100, 4) + block.device.read(0x104, 4) * 2 ** 32).toBe(2 ** 36);
  });

  it('does not discard for a driver that did not accept it', () => {
    const block = new BlockDriver({ features: FEATURE.FLUSH });
    expect(block.run(TYPE.DISCARD, 0, span(0, 1)).status).toBe(RESULT.UNSUPP);
    expect(block.run(TYPE.WRITE_ZEROES, 0, span(0, 1)).status).toBe(RESULT.UNSUPP);
  });

  it('says that a read-only disk is, and refuses every change to it', () => {
    const block = new BlockDriver({ readonly: true });
    expect(block.driver.get(REGISTER.DEVICE_FEATURES) & FEATURE.RO).toBe(FEATURE.RO);
    expect(block.driver.get(REGISTER.DEVICE_FEATURES) & (FEATURE.DISCARD | FEATURE.WRITE_ZEROES)).toBe(0);
    expect(block.run(TYPE.OUT, 0, new Uint8Array(512)).status).toBe(RESULT.IOERR);
    expect(block.run(TYPE.FLUSH, 0).status).toBe(RESULT.OK);
    expect(block.run(TYPE.IN, 0, 512).status).toBe(RESULT.OK);
    expect(block.backend.log.map(({ kind }) => kind)).toEqual(['flush', 'read']);
  });

  it('flushes after each write for a driver that does not flush itself', () => {
    const block = new BlockDriver({ features: 0 });
    const asked = block.add(TYPE.OUT, 3, pattern(512, 1));
    block.queue.kick();
    expect(block.backend.complete()).toBe(true);
    expect(block.pending(asked)).toBe(true);
    expect(block.queue.collect()).toEqual([]);
    expect(block.backend.complete()).toBe(true);
    expect(block.status(asked)).toBe(RESULT.OK);
    expect(block.queue.collect()).toHaveLength(1);
    expect(block.backend.log.map(({ kind, id }) => [kind, id])).toEqual([
      ['write', 0],
      ['flush', 1],
    ]);
  });

  it.each([
    ['io-error', RESULT.IOERR],
    ['unsupported', RESULT.UNSUPP],
  ] as const)('passes on %s of the disk, without a flush after it', (status, result) => {
    const block = new BlockDriver({ features: 0 });
    const write = block.add(TYPE.OUT, 0, pattern(512, 1));
    const read = block.add(TYPE.IN, 0, 512);
    block.queue.kick();
    block.backend.complete(0, status);
    block.backend.complete(0, status);
    expect([block.status(write), block.status(read)]).toEqual([result, result]);
    // The used length of the read does not vouch for data that did not come.
    expect(block.queue.collect().map(({ written }) => written)).toEqual([1, 0]);
    expect(block.backend.log).toHaveLength(2);
    expect(block.memory.pinnedPages).toBe(0);
  });

  it('has many requests in flight that complete in any order', () => {
    const seed = 41;
    const random = new Random(seed);
    const block = new BlockDriver({ sectors: 4096, indirect: true, eventIndex: true, pages: 4096 });
    const model = new Uint8Array(block.backend.size);
    // Each slot has sectors of its own, so that the order of completion does not change what is right.
    const slots = Array.from({ length: 64 }, (_, index) => ({
      first: index * 64,
      busy: undefined as (() => void) | undefined,
    }));
    let most = 0;
    let interrupts = 0;
    for (let step = 0; step < 3000; step += 1) {
      const slot = random.pick(slots);
      if (slot.busy === undefined && random.below(3) > 0) {
        start(slot);
        block.queue.kick();
        most = Math.max(most, block.backend.waiting.length);
      } else if (block.backend.waiting.length > 0) {
        block.backend.complete(random.below(block.backend.waiting.length));
      }
      if (block.surroundings.level) {
        interrupts += 1;
        block.driver.acknowledge();
        finish();
      }
    }
    while (block.backend.complete(random.below(block.backend.waiting.length))) {
      block.driver.acknowledge();
      finish();
    }
    expect(
      slots.every(({ busy }) => busy === undefined),
      `seed ${seed}`,
    ).toBe(true);
    expect(block.backend.content).toEqual(model);
    expect(most).toBeGreaterThan(30);
    expect(interrupts).toBeGreaterThan(500);
    expect(block.memory.pinnedPages).toBe(0);
    expect(block.device.outstanding).toBe(0);
    expect(block.surroundings.errorCount).toBe(0);

    function start(slot: (typeof slots)[number]): void {
      const sectors = 1 + random.below(8);
      const sector = slot.first + random.below(64 - sectors);
      const from = sector * 512;
      const to = from + sectors * 512;
      if (random.below(2) === 0) {
        const bytes = pattern(sectors * 512, step256());
        model.set(bytes, from);
        const asked = block.add(TYPE.OUT, sector, bytes, 1000);
        slot.busy = () => check(asked);
      } else {
        const expected = model.slice(from, to);
        const asked = block.add(TYPE.IN, sector, sectors * 512, 700);
        slot.busy = () => {
          check(asked);
          if (!Buffer.from(block.driver.take(asked.data)).equals(expected)) expect.fail(`seed ${seed}: wrong data`);
        };
      }
    }

    function step256(): number {
      return random.below(256);
    }

    function check(asked: Asked): void {
      if (block.status(asked) !== RESULT.OK) expect.fail(`seed ${seed}: status ${block.status(asked)}`);
    }

    function finish(): void {
      block.queue.collect();
      for (const slot of slots) {
        if (slot.busy === undefined) continue;
        try {
          slot.busy();
          slot.busy = undefined;
        } catch (error) {
          if (!String(error).includes(`status ${0xee}`)) throw error;
        }
      }
    }
  });

  it('holds requests back while very much memory is in flight, and forgets none', () => {
    const block = new BlockDriver({ sectors: 2 ** 17, indirect: true, eventIndex: true, pages: 512 });
    // Each request writes the same mebibyte 64 times: four of them are the most that may be in flight.
    const buffer = block.driver.range(2 ** 20);
    block.driver.put(buffer, pattern(buffer.length, 1));
    const header = block.driver.range(16);
    block.driver.put(header, Uint8Array.of(TYPE.OUT));
    const data = Array.from({ length: 64 }, () => buffer);
    for (let count = 0; count < 9; count += 1) block.queue.add([header, ...data], [block.driver.range(1)]);
    block.queue.kick();
    expect(block.backend.waiting).toHaveLength(4);
    block.queue.notify();
    expect(block.backend.waiting).toHaveLength(4);
    block.backend.complete(2);
    expect(block.backend.waiting).toHaveLength(4);
    expect(block.backend.log).toHaveLength(5);
    block.restore();
    expect(block.device.inFlight).toHaveLength(4);
    for (const { id } of block.device.inFlight) block.device.settle(id, 'ok');
    expect(block.backend.log).toHaveLength(9);
    block.backend.completeAll();
    expect(block.queue.collect()).toHaveLength(9);
    expect(block.memory.pinnedPages).toBe(0);

    // What a former driver left in flight is not counted, nor subtracted when it completes.
    const again = () => {
      for (let count = 0; count < 9; count += 1) block.queue.add([header, ...data], [block.driver.range(1)]);
      block.queue.kick();
    };
    again();
    const stale = block.backend.waiting.splice(0);
    block.queue = block.driver.start(1)[0]!;
    for (const waiting of stale) waiting.finish('ok');
    again();
    expect(block.backend.waiting).toHaveLength(4);
    block.backend.completeAll();
    expect(block.queue.collect()).toHaveLength(9);
    expect(block.surroundings.errorCount).toBe(0);
  });

  it('survives a disk that completes at once', () => {
    const block = new BlockDriver({ eventIndex: true });
    block.backend.immediate = true;
    for (let count = 0; count < 20; count += 1) block.add(TYPE.IN, count, 512);
    block.queue.kick();
    expect(block.queue.collect()).toHaveLength(20);
    expect(block.device.outstanding).toBe(0);
  });
});
