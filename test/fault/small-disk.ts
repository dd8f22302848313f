/** File systems of a few megabytes, where this process may mount them. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atCleanUp } from '../integration/clean-up.ts';

export const smallDiskBytes = 24 * 1024 * 1024;

/** Unmounted at the clean-up. Errors: mount's own. */
export function mountSmallDisk(directory: string): void {
  mkdirSync(directory, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${smallDiskBytes}`, 'tmpfs', directory], { stdio: 'pipe' });
  // Lazily: a process that has just been killed may still be there.
  atCleanUp(() => execFileSync('umount', ['--lazy', directory], { stdio: 'pipe' }));
}

/** Undefined: file systems can be mounted here; otherwise why not. */
export function mountObstacle(): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'bitacora-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory], { stdio: 'pipe' });
    execFileSync('umount', [directory], { stdio: 'pipe' });
    return undefined;
  } catch {
    return 'this process may not mount a file system';
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
