/** The system as pages know it. */
export function systemOf(platform: NodeJS.Platform): 'linux' | 'macos' | 'windows' {
  if (platform === 'darwin') return 'macos';
  return platform === 'win32' ? 'windows' : 'linux';
}
