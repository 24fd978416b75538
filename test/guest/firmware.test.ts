// Machine-mode firmware from Debian runs unmodified: OpenSBI, U-Boot in both modes, and Linux above OpenSBI (@req P4).
import { beforeAll, describe, expect, test } from 'vitest';
import { ensureGuest, type Guest } from '../../assets/guest/guest.ts';
import { GuestSession } from '../framework/guest-session.ts';

const OPENSBI = '/usr/lib/riscv64-linux-gnu/opensbi/generic';
const U_BOOT = '/usr/lib/u-boot';

async function toPromptAndOff(guest: GuestSession): Promise<void> {
  await guest.waitFor('Hit any key to stop autoboot');
  await guest.send('\n');
  await guest.waitFor(/\n=> /);
  await guest.send('echo answer $baudrate\n');
  await guest.waitFor('answer 115200');
  await guest.send('poweroff\n');
  expect(await guest.exit()).toBe(0);
}

describe('U-Boot comes to its prompt and powers off', () => {
  test.each(['fw_dynamic.bin', 'fw_jump.bin', 'fw_jump.elf'])('in S-mode above OpenSBI as %s', async name => {
    const files = ['--firmware', `${OPENSBI}/${name}`, '--kernel', `${U_BOOT}/qemu-riscv64_smode/u-boot.bin`];
    await using guest = new GuestSession(['--memory', '256M', ...files]);
    const banner = await guest.waitFor('U-Boot');
    expect(banner).toContain('OpenSBI');
    expect(banner).toMatch(/Boot HART Base ISA\s*: rv64imafdc/);
    expect(banner).toMatch(/Boot HART PMP Count\s*: 16/);
    await toPromptAndOff(guest);
  });

  test('in M-mode as the firmware itself', async () => {
    await using guest = new GuestSession(['--memory', '256M', '--firmware', `${U_BOOT}/qemu-riscv64/u-boot.bin`]);
    await toPromptAndOff(guest);
  });
});

describe('Linux above OpenSBI', () => {
  let files: Guest;
  beforeAll(async () => {
    files = await ensureGuest();
  }, 300_000);

  test('comes to its shell, restarts and powers off through the firmware', { timeout: 200_000 }, async () => {
    const software = ['--kernel', files.kernel, '--initrd', files.initrd, '--append', files.append];
    await using guest = new GuestSession(['--firmware', `${OPENSBI}/fw_dynamic.bin`, ...software]);
    await guest.ready();
    expect(await guest.command('uname -m')).toContain('riscv64');
    await guest.send('reboot\n');
    await guest.waitFor('OpenSBI');
    await guest.ready();
    await guest.send('poweroff\n');
    expect(await guest.exit()).toBe(0);
  });
});
