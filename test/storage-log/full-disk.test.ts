/** A disk that is really full: a small file system in memory. Needs root to mount it. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { failure, newRecord, p, readAll } from '../contract/log-harness.ts';
import { openIn } from './setting.ts';

/** Mounts a file system of so many MB; undefined when that is not allowed here. */
async function mountSmall(megabytes: number): Promise<string | undefined> {
  const mount = await mkdtemp(join(tmpdir(), 'bitacora-full-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', mount], { stdio: 'pipe' });
  } catch {
    await rmdir(mount);
    return undefined;
  }
  onTestFinished(async () => {
    execFileSync('umount', ['-l', mount]);
    await rmdir(mount);
  });
  return mount;
}

test('a full disk: every answer is true, and appends go on when there is room again', async (context) => {
  const mount = await mountSmall(24);
  if (mount === undefined) return context.skip('a file system cannot be mounted here (needs root)');
  const ballast = join(mount, 'ballast');
  await writeFile(ballast, new Uint8Array(14 * 1024 * 1024));
  const log = await openIn(join(mount, 'log'), { limits: { reopenMinMs: 10, reopenMaxMs: 100, outcomeWaitMs: 300 } });
  const outcomes = new Map<string, string | undefined>();
  const value = 'v'.repeat(100_000);
  for (let i = 0; log.state === 'connected' && i < 1_000; i += 1) {
    outcomes.set(`${i}`, await failure(log.append(p(0), newRecord(`${i}`, `${i}:${value}`))));
  }
  expect([...outcomes.values()].at(-1)).toMatch(/log-unavailable|unknown-outcome/);
  await rm(ballast);
  await expect.poll(() => failure(log.append(p(0), newRecord('later', 'later'))), { timeout: 30_000 }).toBeUndefined();
  await log.close();

  const reopened = await openIn(join(mount, 'log'));
  const found = new Set((await readAll(reopened, 30_000)).values(0).map((text) => text?.split(':')[0]));
  expect(found.has('later')).toBe(true);
  for (const [i, code] of outcomes) {
    if (code === undefined) expect(found.has(i), `${i} was acknowledged`).toBe(true);
    if (code === 'log-unavailable') expect(found.has(i), `${i} was refused`).toBe(false);
  }
  await reopened.close();
}, 120_000);
