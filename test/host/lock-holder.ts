// Takes the lock of a file, says so, and holds it until its input ends: for engine/host/file-lock.test.ts.
import { FileLock, type LockMode } from '../../engine/host/file-lock.ts';

const [file, mode] = process.argv.slice(2) as [string, LockMode];
try {
  await FileLock.take(file, mode);
  process.stdout.write('held\n');
  process.stdin.resume();
} catch (thrown) {
  process.stdout.write(`${(thrown as Error).message}\n`);
}
