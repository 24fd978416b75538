// Where machines are kept.
import { homedir } from 'node:os';
import path from 'node:path';

/**
 * The library's folder: as asked for, `$AFTERIMAGE_LIBRARY`, or where the platform keeps a user's data. One folder per
 * machine is in it.
 */
export function libraryFolder(
  chosen?: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
  platform: NodeJS.Platform = process.platform,
  home: string = homedir(),
): string {
  const wanted = chosen ?? environment.AFTERIMAGE_LIBRARY;
  if (wanted) return path.resolve(wanted);
  return path.join(dataFolder(environment, platform, home), 'afterimage', 'machines');
}

function dataFolder(
  environment: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform,
  home: string,
): string {
  if (platform === 'darwin') return path.join(home, 'Library/Application Support');
  if (platform === 'win32') return environment.LOCALAPPDATA ?? path.join(home, 'AppData/Local');
  const shared = environment.XDG_DATA_HOME;
  // The specification: a relative path there is invalid and to be ignored.
  return shared && path.isAbsolute(shared) ? shared : path.join(home, '.local/share');
}
