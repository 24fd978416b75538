// Small scope, all of it: a store of the hart and the saver's work on one or two pages, with the saver let in at every
// gap between the hart's looks at shared state, for as many of its own steps as there are (@req C2, C3, C4, C8, C17).
import { beforeAll, expect, test } from 'vitest';
import { guestPhys } from '../../engine/base/addresses.ts';
import { RAM_BASE } from '../../engine/core/core.ts';
import { CLAIM_CLEAN, CLAIM_PINNED, CLAIM_ZERO, HeldPages, SAVED, stateIn } from '../../engine/memory/save-states.ts';
import { MemoryTables } from '../../engine/memory/tables.ts';
import { coreModule } from '../framework/bare-machine.ts';
import { buildRig, PAGE } from './rig.ts';

const FIRST = 100;
const SECOND = 101;
const MOST_STEPS = 24;

let module: WebAssembly.Module;
beforeAll(async () => {
  module = await coreModule();
});

interface Scene {
  /** Pages that the hart stores to, in order. */
  readonly stores: readonly number[];
  /** Pages that the saver saves, in order. */
  readonly saves: readonly number[];
  readonly reservePages?: number;
  /** The checkpoint builds on one that has these pages as they are. */
  readonly clean?: boolean;
  readonly neverWritten?: boolean;
  readonly shared?: boolean;
  /** The first page's frame is being filled by a device; its request ends when the saver has asked so often. */
  readonly pendingRead?: number;
  /** At most so many gaps in which the saver acts; all by default. */
  readonly switches?: number;
}

/** One scene, played again and again with another schedule. */
class Stage {
  readonly #rig;
  readonly #scene: Scene;
  readonly #saverTables: MemoryTables;
  /** Schedule: the saver's steps in each gap. */
  #schedule: readonly number[] = [];
  #gap = 0;
  #saver: Generator<void, void> | undefined;
  #saverSteps = 0;
  #image = new Map<number, Uint8Array | 'clean'>();
  #request: ReturnType<typeof this.pin> | undefined;
  #asked = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
    this.#rig = buildRig(module, {
      reservePages: scene.reservePages ?? 16,
      ramPages: 512,
      saveNow: page => this.#saveNow(page),
    });
    const { tables } = this.#rig.manager;
    this.#saverTables = new MemoryTables(tables.bytes, tables.layout);
    // The hart's looks at shared state; what it does between two of them is its own affair.
    const { exchangeSaveState, saveState, setFrame, setChunk } = MemoryTables.prototype;
    tables.saveState = page => this.#between(() => saveState.call(tables, page));
    tables.exchangeSaveState = (page, from, to) => this.#between(() => exchangeSaveState.call(tables, page, from, to));
    tables.setFrame = (page, frame) => this.#between(() => setFrame.call(tables, page, frame));
    tables.setChunk = (page, at) => this.#between(() => setChunk.call(tables, page, at));
  }

  pin() {
    return this.#rig.memory.pin(guestPhys(RAM_BASE + FIRST * PAGE), 16, 'device-writes')!;
  }

  /** Plays a schedule. Returns the hart's gaps and the saver's steps, all of them. */
  play(schedule: readonly number[]): { gaps: number; steps: number } {
    const { manager, memory, machine } = this.#rig;
    const { core } = machine;
    const { clean, neverWritten, saves, shared, stores, pendingRead } = this.#scene;
    for (const page of [FIRST, SECOND]) {
      const at = guestPhys(RAM_BASE + page * PAGE);
      memory.write(at, new Uint8Array(PAGE).fill(neverWritten ? 0 : shared ? 7 : page));
      if (neverWritten) core.view.setUint32(core.layout.PAGE_EPOCH + page * 4, 0, true);
    }
    if (shared) {
      manager.virtualize({ first: FIRST, count: 2 });
      manager.share('paused');
      expect(manager.tables.frameOf(SECOND)).toBe(manager.tables.frameOf(FIRST));
    }
    this.#asked = 0;
    this.#request = pendingRead === undefined ? undefined : this.pin();
    const moment = new Map(saves.map(page => [page, this.#guestPage(page)]));
    const epoch = core.view.getUint32(core.layout.EPOCH, true);
    manager.hold(clean ? epoch : 0);

    this.#image = new Map();
    this.#saver = this.#save();
    this.#saverSteps = 0;
    this.#gap = 0;
    this.#schedule = schedule;
    for (const page of stores) {
      this.#endRequest();
      const frame = this.#between(() => core.frameForStore(page));
      this.#between(() => manager.tables.frameBytes(frame).fill(0xff, PAGE / 4));
    }
    const gaps = this.#gap;
    this.#schedule = [];
    while (this.#advance()) this.#endRequest();

    for (const page of stores) expect(this.#guestPage(page)[PAGE - 1], 'a store is lost').toBe(0xff);
    for (const page of saves) {
      const image = this.#image.get(page);
      const expected = moment.get(page)!;
      if (pendingRead !== undefined && page === FIRST) {
        expected.fill(0x55, 0, 16);
        expect(this.#guestPage(page)[3], 'a pending read has not reached the running machine').toBe(0x55);
      }
      if (image === 'clean') expect(clean).toBe(true);
      else expect(Buffer.compare(image!, expected), `page ${page} is not as it was at the moment`).toBe(0);
    }
    manager.release({ mode: 'paused' });
    manager.devirtualize(undefined, { mode: 'paused' });
    expect(manager.audit()).toEqual([]);
    expect(manager.remappedPages).toBe(0);
    return { gaps, steps: this.#saverSteps };
  }

  #between<Result>(act: () => Result): Result {
    for (let steps = this.#schedule[this.#gap] ?? 0; steps > 0; steps -= 1) this.#advance();
    this.#gap += 1;
    return act();
  }

  #advance(): boolean {
    const more = this.#saver?.next().done === false;
    if (more) this.#saverSteps += 1;
    return more;
  }

  /** The saver, which lets go after each look at shared state and in the middle of a page. */
  *#save(): Generator<void, void> {
    const held = new HeldPages(this.#saverTables);
    const left = [...this.#scene.saves];
    for (let page = left.shift(); page !== undefined; page = left.shift()) {
      const frame = yield* held.claimSteps(page);
      yield;
      if (frame === CLAIM_PINNED) {
        left.push(page);
        this.#asked += 1;
      } else if (frame === CLAIM_ZERO) this.#image.set(page, new Uint8Array(PAGE));
      else if (frame === CLAIM_CLEAN) this.#image.set(page, 'clean');
      else {
        const image = new Uint8Array(PAGE);
        this.#image.set(page, image);
        image.set(this.#saverTables.frameBytes(frame).subarray(0, PAGE / 2));
        yield;
        image.set(this.#saverTables.frameBytes(frame).subarray(PAGE / 2), PAGE / 2);
        yield;
        held.saved(page);
        yield;
      }
    }
  }

  /** Ends the device's request when it is time; like all device code, on the hart's thread between instructions. */
  #endRequest(): void {
    const { memory } = this.#rig;
    if (this.#request === undefined || this.#asked < this.#scene.pendingRead!) return;
    for (const segment of this.#request) memory.bytes(segment).fill(0x55);
    memory.unpin(this.#request);
    this.#request = undefined;
  }

  #saveNow(page: number): void {
    while (stateIn(this.#saverTables.saveState(page)) < SAVED && this.#advance());
  }

  #guestPage(page: number): Uint8Array {
    return this.#saverTables.frameBytes(this.#saverTables.frameOf(page)).slice();
  }
}

/** Plays all schedules of a scene; returns how many there were. */
function playAll(scene: Scene): number {
  const stage = new Stage(scene);
  const alone = stage.play([]);
  const first = stage.play([1000]);
  // Exchanges that fail lengthen the hart's way by a gap; the saver's remaining steps come at the end.
  const gaps = Math.max(alone.gaps, first.gaps) + 1;
  // While a request is pending the saver asks again and again; that often is enough.
  const steps = Math.min(Math.max(alone.steps, first.steps), MOST_STEPS);
  let played = 0;
  const schedule: number[] = [];
  const extend = (left: number, switches: number): void => {
    if (schedule.length === gaps) {
      stage.play(schedule);
      played += 1;
      return;
    }
    for (let count = 0; count <= left; count += 1) {
      if (count > 0 && switches === 0) break;
      schedule.push(count);
      extend(left - count, switches - Math.sign(count));
      schedule.pop();
    }
  };
  extend(steps, scene.switches ?? gaps);
  return played;
}

const ONE_PAGE = { stores: [FIRST], saves: [FIRST] };
const TWO_PAGES = { stores: [FIRST, SECOND], saves: [SECOND, FIRST], switches: 2 };

test.each<[string, Scene]>([
  ['one page', ONE_PAGE],
  ['one page without changes since the last checkpoint', { ...ONE_PAGE, clean: true }],
  ['one page that was never written', { ...ONE_PAGE, neverWritten: true }],
  ['one page and no frame for a copy', { ...ONE_PAGE, reservePages: 0 }],
  ['one page with a pending read that is done at once', { ...ONE_PAGE, pendingRead: 0, switches: 3 }],
  ['one page with a pending read that the saver meets', { ...ONE_PAGE, pendingRead: 2, switches: 2 }],
  ['two pages', TWO_PAGES],
  ['two pages and one frame for a copy', { ...TWO_PAGES, reservePages: 2 }],
  ['two pages and no frame for a copy', { ...TWO_PAGES, reservePages: 0 }],
  ['two pages that share a frame', { ...TWO_PAGES, shared: true }],
  ['two pages that share a frame, one stored to', { ...TWO_PAGES, stores: [FIRST], shared: true, switches: 3 }],
])('%s: every schedule keeps the moment and the store', (_, scene) => {
  expect(playAll(scene)).toBeGreaterThan(100);
});
