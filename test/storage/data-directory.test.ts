import { mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codeOf } from '../../src/core/errors.ts';
import { openDataDirectory } from '../../storage/data-directory.ts';
import { type Child, startChild } from './child-process.ts';

let home: string;
let path: string;
const children: Child[] = [];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'bitacora-data-'));
  path = join(home, 'deep', 'data');
});
afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.kill()));
  await rm(home, { recursive: true, force: true });
});

function holding(): Child {
  const child = startChild('./child-holding-directory.ts', path);
  children.push(child);
  return child;
}

async function refusal(of: string = path): Promise<{ code: string; message: string }> {
  const error = await openDataDirectory(of).then(
    () => new Error('it was opened'),
    (reason: unknown) => reason as Error,
  );
  return { code: codeOf(error), message: error.message };
}

describe('the data directory', () => {
  test('is made, with all above it, and given back', async () => {
    const directory = await openDataDirectory(path);
    expect(await readdir(directory.path)).toEqual(['lock', 'owner.json']);
    await directory.close();
    await directory.close();
    const again = await openDataDirectory(path);
    await again.close();
  });

  test("is refused to a second taker in this process, who does not loosen the first one's hold", async () => {
    const directory = await openDataDirectory(path);
    const { code, message } = await refusal();
    expect(code).toBe('directory-locked');
    expect(message).toContain(`${path} is used by process ${process.pid} on host ${hostname()} since 20`);
    expect(await holding().line()).toMatch(/^directory-locked: /);
    await directory.close();
  });

  test('is the same one by another name', async () => {
    const directory = await openDataDirectory(path);
    await symlink(path, join(home, 'link'));
    expect((await refusal(join(home, 'link'))).code).toBe('directory-locked');
    expect((await refusal(join(path, '..', 'data'))).code).toBe('directory-locked');
    await directory.close();
  });

  test('is given to one of many who ask at once', async () => {
    const asked = await Promise.allSettled(Array.from({ length: 8 }, () => openDataDirectory(path)));
    const opened = asked.filter((outcome) => outcome.status === 'fulfilled');
    expect(opened).toHaveLength(1);
    for (const { value } of opened) await value.close();
  });

  test('is refused while another process has it, saying which, and free at once when that is killed', async () => {
    const child = holding();
    expect(await child.line()).toBe('open');
    for (let i = 0; i < 3; i++) {
      const { code, message } = await refusal();
      expect(code).toBe('directory-locked');
      expect(message).toContain(`${path} is used by process ${child.process.pid} on host ${hostname()} since 20`);
    }
    await child.kill();
    const directory = await openDataDirectory(path);
    await directory.close();
  });

  test('is refused to another process, until given back', async () => {
    const directory = await openDataDirectory(path);
    expect(await holding().line()).toContain(`is used by process ${process.pid} on host`);
    await directory.close();
    expect(await holding().line()).toBe('open');
  });

  test('is refused when the owner is not known, too', async () => {
    const child = holding();
    expect(await child.line()).toBe('open');
    await rm(join(path, 'owner.json'));
    const { code, message } = await refusal();
    expect(code).toBe('directory-locked');
    expect(message).toContain('process unknown');
  });

  test('can be taken when the files of the lock were damaged by a power cut', async () => {
    await (await openDataDirectory(path)).close();
    await truncate(join(path, 'lock', 'CURRENT'), 0);
    const directory = await openDataDirectory(path);
    expect(await holding().line()).toMatch(/^directory-locked: /);
    await directory.close();
  });

  // LevelDB then misses a file below `lock/`, and names it.
  test('can be taken when the name of the manifest was damaged', async () => {
    await (await openDataDirectory(path)).close();
    await writeFile(join(path, 'lock', 'CURRENT'), 'MANIFEST-999999\n');
    await (await openDataDirectory(path)).close();
  });

  test('is refused with a reason when it cannot be made or written', async () => {
    await writeFile(join(home, 'file'), '');
    for (const of of [join(home, 'file'), join(home, 'file', 'data')]) {
      const { code, message } = await refusal(of);
      expect(code).toBe('directory-unusable');
      expect(message).toContain(of);
    }
    await mkdir(join(path, 'owner.json'), { recursive: true });
    expect((await refusal()).code).toBe('directory-unusable');
    // A refusal leaves no lock behind.
    await rm(join(path, 'owner.json'), { recursive: true });
    await (await openDataDirectory(path)).close();
  });

  test('says in owner.json who has it', async () => {
    const directory = await openDataDirectory(path);
    const owner = JSON.parse(await readFile(join(path, 'owner.json'), 'utf8')) as { pid: number; host: string; since: string };
    expect(owner.pid).toBe(process.pid);
    expect(Date.parse(owner.since)).toBeGreaterThan(0);
    await directory.close();
    expect(await readdir(path)).toEqual(['lock']);
  });
});
