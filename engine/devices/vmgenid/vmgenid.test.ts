// @req C18
import { describe, expect, it } from 'vitest';
import { deviceContract } from '../../../test/contract/device.ts';
import { TestLine } from '../../../test/contract/parts.ts';
import { bool, bytesOf as bytesOfCount } from '../../state/kinds.ts';
import { decode, encode, section } from '../../state/section.ts';
import { GenerationId } from './device.ts';
import { generationSection } from './state.ts';

const OLD = Uint8Array.from({ length: 16 }, (_, index) => index + 1);
const NEW = Uint8Array.from({ length: 16 }, (_, index) => 0xf0 - index);

deviceContract('vmgenid', {
  section: generationSection,
  window: 0x1000,
  make: () => new GenerationId({ irq: new TestLine() }, OLD),
  restore: state => GenerationId.restore({ irq: new TestLine() }, state),
  disturb: device => device.renew(NEW),
  // The identity of this life of the machine, which a restart within it does not change.
  survivesReset: ['generation'],
  offsets: [0, 4, 8, 12, 16],
});

function bytesOf(device: GenerationId): number[] {
  return Array.from({ length: 16 }, (_, offset) => device.read(offset, 1));
}

describe('a generation', () => {
  it('is read in any width, zero behind it, and cannot be written', () => {
    const device = new GenerationId({ irq: new TestLine() }, OLD);
    device.write(0, 4, 0xffffffff);
    expect(bytesOf(device)).toEqual([...OLD]);
    expect(device.read(0, 4)).toBe(0x04030201);
    expect(device.read(12, 4)).toBe(0x100f0e0d);
    expect(device.read(16, 4)).toBe(0);
  });

  it('interrupts when it changes, until the guest has looked', () => {
    const irq = new TestLine();
    const device = new GenerationId({ irq }, OLD);
    device.read(0, 8);
    expect(irq.level).toBe(false);
    device.renew(NEW);
    expect(irq.level).toBe(true);
    expect(device.read(0x100, 4)).toBe(0);
    expect(irq.level).toBe(true);
    expect(bytesOf(device)).toEqual([...NEW]);
    expect(irq.level).toBe(false);
  });

  it('that the guest has not looked at goes on interrupting after a restore', () => {
    const first = new GenerationId({ irq: new TestLine() }, OLD);
    first.read(0, 4);
    first.renew(NEW);
    const irq = new TestLine();
    const device = GenerationId.restore({ irq }, first.save());
    expect(irq.level).toBe(true);
    expect(bytesOf(device)).toEqual([...NEW]);
  });

  it('does not interrupt a guest that has not looked at any yet, or has started anew', () => {
    const irq = new TestLine();
    const device = new GenerationId({ irq }, OLD);
    device.renew(NEW);
    expect([irq.level, bytesOf(device)]).toEqual([false, [...NEW]]);
    device.reset();
    device.renew(OLD);
    expect([irq.level, bytesOf(device)]).toEqual([false, [...OLD]]);
  });

  it('of the first version of its state is taken for known', () => {
    const saved = new GenerationId({ irq: new TestLine() }, OLD).save();
    const first = section('vmgenid', { version: 1, oldest: 1 }, { generation: bytesOfCount(16), changed: bool });
    expect(decode(generationSection, encode(first, saved))).toEqual({ ...saved, known: true });
  });

  it('has 16 bytes', () => {
    expect(() => new GenerationId({ irq: new TestLine() }, NEW.subarray(1))).toThrow(/length/);
  });
});
