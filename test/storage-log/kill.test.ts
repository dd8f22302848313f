/** kill -9 in the middle of appends and compaction: what was acknowledged is there afterwards. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readAll, text } from '../contract/log-harness.ts';
import { freshDirectory, openIn } from './setting.ts';

const child = fileURLToPath(new URL('append-child.ts', import.meta.url));

/** Lets a process append until it has told of so many acknowledgements, kills it, and returns those it told of. */
async function appendAndKill(directory: string, run: number, atLeast: number): Promise<string[]> {
  const running = spawn(process.execPath, ['--import', 'tsx', child, directory, `${run}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  let told = '';
  let lines = 0;
  running.stdout.on('data', (piece: Buffer) => {
    told += piece;
    lines += piece.toString().split('\n').length - 1;
    if (lines >= atLeast) running.kill('SIGKILL');
  });
  const [, signal] = await once(running, 'close');
  expect(signal).toBe('SIGKILL');
  return told.split('\n').slice(0, -1);
}

test('every acknowledged append is there after kill -9, at its position, or a newer record of its key is', async () => {
  const directory = await freshDirectory();
  const acknowledged: string[] = [];
  for (let run = 0; run < 4; run += 1) {
    acknowledged.push(...(await appendAndKill(directory, run, 400 + run * 173)));
    const log = await openIn(directory);
    const read = await readAll(log, 30_000);
    expect(read.violations).toEqual([]);
    const found = new Map<string, string | undefined>();
    for (const partition of [0, 1]) {
      for (const record of read.records(partition)) found.set(`${partition} ${record.offset}`, text(record.value));
    }
    const newestAgain = [0, 1].map((partition) => read.records(partition).findLast((record) => text(record.key) === 'again')?.offset ?? -1);
    for (const line of acknowledged) {
      const [partition = '', offset = '', value = ''] = line.split(' ');
      const there = found.get(`${partition} ${offset}`);
      const compacted = Number(value.split('-')[2]) % 4 === 0 && (newestAgain[Number(partition)] ?? -1) > Number(offset);
      if (there === undefined) expect({ line, compacted }).toEqual({ line, compacted: true });
      else expect(there).toBe(value);
    }
    await log.close();
  }
}, 120_000);
