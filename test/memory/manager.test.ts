// Random interleavings of everything that the memory manager does with a program that writes memory in every way it can
// (@req C2, C4, C6, C8, C9, C10, C17, V1-V10, V12). A second machine runs the same program undisturbed: the two must
// agree in every register and byte, whatever is done to the first.
import { beforeAll, describe, expect, test } from 'vitest';
import { guestPhys } from '../../engine/base/addresses.ts';
import { RAM_BASE } from '../../engine/core/core.ts';
import type { MemorySegment } from '../../engine/memory/guest-memory.ts';
import type { PageRange } from '../../engine/memory/page-ranges.ts';
import type { ReverseStrategy } from '../../engine/memory/reverse-map.ts';
import { coreModule } from '../framework/bare-machine.ts';
import { buildRig, guestRam, PAGE, type Rig, randomFrom } from './rig.ts';
import { ScriptedSaver } from './scripted-saver.ts';

const RAM_PAGES = 512;
const STRATEGIES: readonly ReverseStrategy[] = ['backmap', 'refcount', 'search'];
const MODES = ['concurrent', 'paused'] as const;

let module: WebAssembly.Module;
beforeAll(async () => {
  module = await coreModule();
});

interface Pin {
  readonly at: number;
  readonly length: number;
  readonly segments: MemorySegment[];
  readonly writes: boolean;
  /** The checkpoint that was open or begun while it was pending. */
  readonly before: number;
}

/** Both machines, what is done to the first one, and what must hold of it. */
class Trial {
  readonly rig: Rig;
  readonly other: Rig;
  readonly #random: (below: number) => number;
  readonly #freeInTheBeginning: number;
  readonly #pins: Pin[] = [];
  #saver: ScriptedSaver | undefined;
  /** Memory at the moment of the open checkpoint, with what devices were about to write then. */
  #moment: Uint8Array = new Uint8Array(0);
  #holds = 0;
  #momentEpoch = 0;
  /** The last complete checkpoint. */
  #base: { epoch: number; image: Uint8Array } | undefined;
  completed = 0;

  constructor(seed: number, translated: boolean, reservePages: number) {
    this.#random = randomFrom(seed);
    const saveNow = (page: number) => this.#saver!.saveNow(page);
    this.rig = buildRig(module, { translated, ramPages: RAM_PAGES, reservePages, saveNow });
    this.other = buildRig(module, { translated, ramPages: RAM_PAGES, reservePages });
    this.#freeInTheBeginning = this.rig.manager.freeFrames;
  }

  step(): string {
    const { manager } = this.rig;
    const random = this.#random;
    const actions: Record<string, () => void> = {
      run: () => this.run(1 + random(1500)),
      runShortly: () => this.run(1 + random(40)),
      work: () => manager.work(1 + random(20)),
      virtualize: () => manager.virtualize(this.#range()),
      virtualizeAll: () => manager.virtualize(),
      devirtualize: () =>
        manager.devirtualize(this.#range(), { mode: MODES[random(2)]!, reverse: STRATEGIES[random(3)]! }),
      devirtualizeAll: () =>
        manager.devirtualize(undefined, { mode: MODES[random(2)]!, reverse: STRATEGIES[random(3)]! }),
      scatter: () => manager.scatter(random(1 << 30), this.#range(), MODES[random(2)]!),
      share: () => manager.share(MODES[random(2)]!),
      hold: () => this.#hold(),
      claim: () => this.#saver?.claim(1 + random(RAM_PAGES / 4)),
      save: () => this.#saver?.save(1 + random(RAM_PAGES / 4)),
      complete: () => this.#complete(),
      giveUp: () => (random(4) === 0 ? this.#release(false) : undefined),
      pin: () => this.#pin(),
      unpin: () => this.#unpin(),
      write: () => this.#write(),
    };
    const names = Object.keys(actions);
    const name = names[random(names.length)]!;
    actions[name]!();
    expect(manager.audit(), `after ${name}`).toEqual([]);
    return name;
  }

  run(instructions: number): void {
    const { rig, other } = this;
    rig.machine.run(instructions);
    other.machine.run(instructions);
    for (let index = 0; index < 32; index += 1) {
      if (rig.machine.core.register(index) !== other.machine.core.register(index)) {
        expect.fail(`x${index} differs after ${rig.machine.core.instructionsRetired} instructions`);
      }
    }
    expect(rig.machine.core.pc).toBe(other.machine.core.pc);
    expect(rig.machine.core.instructionsRetired).toBe(other.machine.core.instructionsRetired);
  }

  compareMemory(): void {
    expect(Buffer.compare(guestRam(this.rig), guestRam(this.other)), 'the guest sees other memory').toBe(0);
  }

  /** Lets everything come to its end: the machine must be as in the beginning. */
  settle(): void {
    const { manager, machine } = this.rig;
    while (this.#pins.length > 0) this.#unpin();
    if (this.#saver !== undefined) this.#complete(true);
    manager.devirtualize();
    for (let slices = 0; manager.work(50); slices += 1) {
      expect(slices, 'devirtualization makes no progress').toBeLessThan(10_000);
      this.run(20);
    }
    expect(manager.busy).toBe(false);
    expect(manager.remappedPages).toBe(0);
    expect(manager.virtualized).toEqual([]);
    expect(manager.mapFrames).toBe(0);
    expect(manager.freeFrames).toBe(this.#freeInTheBeginning);
    expect(manager.audit()).toEqual([]);
    const { layout } = machine.core;
    const lookups = machine.core.word64(layout.MAP_LOOKUPS);
    this.run(20_000);
    machine.core.flushTranslations();
    this.run(20_000);
    expect(machine.core.word64(layout.MAP_LOOKUPS)).toBe(lookups);
    this.compareMemory();
  }

  #range(): PageRange {
    const first = this.#random(RAM_PAGES);
    return { first, count: this.#random(RAM_PAGES - first + 1) };
  }

  #order(): number[] {
    const pages = Array.from({ length: RAM_PAGES }, (_, page) => page);
    for (let left = RAM_PAGES; left > 1; left -= 1) {
      const other = this.#random(left);
      [pages[left - 1], pages[other]] = [pages[other]!, pages[left - 1]!];
    }
    return pages;
  }

  #hold(): void {
    if (this.#saver !== undefined) return;
    const { manager } = this.rig;
    const base = this.#random(3) === 0 ? undefined : this.#base;
    this.#moment = guestRam(this.rig);
    this.#momentEpoch = manager.hold(base?.epoch ?? 0);
    this.#holds += 1;
    const image = base?.image ?? new Uint8Array(RAM_PAGES * PAGE).fill(0xee);
    this.#saver = new ScriptedSaver(manager.tables, image, this.#order());
  }

  /** Saves what is left; `force` ends also what waits for devices. */
  #complete(force = false): void {
    if (this.#saver === undefined) return;
    if (force || this.#random(3) === 0) while (this.#pins.some(pin => pin.writes)) this.#unpin();
    this.#saver.claim(2 * RAM_PAGES);
    this.#saver.save(RAM_PAGES);
    if (!this.#saver.done) return;
    // With no frame left but those that wait for devices, a checkpoint is given up rather than the machine.
    if (this.rig.manager.tables.word(this.rig.machine.core.layout.HOLD_ABANDONED) !== 0) {
      this.#release(false);
      return;
    }
    for (let page = 0; page < RAM_PAGES; page += 1) {
      const at = page * PAGE;
      const same =
        Buffer.compare(this.#saver.image.subarray(at, at + PAGE), this.#moment.subarray(at, at + PAGE)) === 0;
      expect(same, `page ${page} was not saved as it was at the moment`).toBe(true);
    }
    this.#base = { epoch: this.#momentEpoch, image: this.#saver.image };
    this.completed += 1;
    this.#release(true);
  }

  #release(complete: boolean): void {
    if (this.#saver === undefined) return;
    if (!complete) this.#saver.pages.abandon();
    this.rig.manager.release({ reverse: STRATEGIES[this.#random(3)]! });
    this.#saver = undefined;
  }

  #pin(): void {
    if (this.#pins.length >= 4) return;
    const at = RAM_BASE + 0x40000 + this.#random(70 * PAGE);
    const length = 1 + this.#random(3 * PAGE);
    const writes = this.#random(2) === 0;
    const segments = this.rig.memory.pin(guestPhys(at), length, writes ? 'device-writes' : 'device-reads')!;
    // The program overwrites what a device has yet to write; so does it in the other machine.
    if (writes) this.other.memory.unpin(this.other.memory.pin(guestPhys(at), length, 'device-writes')!);
    this.#pins.push({ at, length, segments, writes, before: this.#holds });
  }

  #unpin(): void {
    const pin = this.#pins.splice(this.#random(this.#pins.length), 1)[0];
    if (pin === undefined) return;
    const { memory } = this.rig;
    if (pin.writes) {
      const bytes = Uint8Array.from({ length: pin.length }, () => this.#random(256));
      let done = 0;
      for (const segment of pin.segments) {
        memory.bytes(segment).set(bytes.subarray(done, done + segment.length));
        done += segment.length;
      }
      this.other.memory.write(guestPhys(pin.at), bytes);
      // A read that was pending at the moment reaches both sides (C6, C10).
      if (this.#saver !== undefined && pin.before < this.#holds) this.#moment.set(bytes, pin.at - RAM_BASE);
    }
    memory.unpin(pin.segments);
  }

  #write(): void {
    const at = guestPhys(RAM_BASE + 0x40000 + this.#random(70 * PAGE));
    const bytes = Uint8Array.from({ length: 1 + this.#random(2 * PAGE) }, () => (this.#random(2) ? 0 : 0xff));
    this.rig.memory.write(at, bytes);
    this.other.memory.write(at, bytes);
  }
}

describe.each([
  ['untranslated', false],
  ['translated', true],
] as const)('a running %s program', (_, translated) => {
  test.each([
    ['a large reserve', 1, RAM_PAGES],
    ['a large reserve', 2, RAM_PAGES],
    ['a large reserve', 3, RAM_PAGES],
    ['hardly any reserve', 4, 16],
    ['hardly any reserve', 5, 16],
    ['hardly any reserve', 6, 32],
  ])('notices nothing of random use of the manager with %s (seed %i)', (_reserve, seed, reservePages) => {
    const trial = new Trial(seed, translated, reservePages);
    const done: string[] = [];
    try {
      for (let step = 0; step < 400; step += 1) {
        done.push(trial.step());
        if (step % 20 === 19) trial.compareMemory();
      }
      trial.settle();
    } catch (error) {
      throw new Error(`After ${done.slice(-12).join(', ')}`, { cause: error });
    }
    expect(trial.completed).toBeGreaterThan(0);
  });
});
