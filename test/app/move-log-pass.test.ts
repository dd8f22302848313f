/** One comparison of two logs: what it deletes, and when. */
import { expect, test } from 'vitest';
import type { BitacoraSession } from '../../client/http/index.ts';
import type { Listed } from '../../src/app/move-log-node.ts';
import { pass } from '../../src/app/move-log-pass.ts';
import type { WriteOptions } from '../../src/app/move-log-write.ts';
import type { ExportItem } from '../../wire/export-reader.ts';

/** A new log that notes what is done to it, and in what order. */
function playedTarget(check: () => Promise<void> = async () => undefined) {
  const done: string[] = [];
  const batch = async (operations: readonly { op: string; key: string }[]) => {
    for (const { op, key } of operations) done.push(`${op} ${key}`);
    return operations.map(({ key }) => ({ key, status: 200 }));
  };
  const kv = { batch } as unknown as BitacoraSession;
  const writing: WriteOptions = { kv, timeoutMs: 10_000, maxBatchedBytes: 1_000, check, progress: () => undefined };
  return { done, writing };
}

function listed(keys: readonly string[], failure?: Error): Listed {
  const items = (async function* (): AsyncGenerator<ExportItem> {
    for (const key of keys) yield { key, value: Buffer.from('v'), contentType: undefined, expires: undefined };
    if (failure !== undefined) throw failure;
  })();
  return { items, position: () => '0:1' };
}

const many = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${prefix}${String(i).padStart(4, '0')}`);
const nothing = async (): Promise<void> => undefined;

test('what has to go goes last, when both have ended and are still what they were', async () => {
  const { done, writing } = playedTarget();
  const checks: number[] = [];
  const check = async (): Promise<void> => void checks.push(done.length);
  const came = await pass({ source: listed(['b', 'd']), target: listed(['a', 'b', 'c']), check }, writing, () => undefined);
  expect(done).toEqual(['put d', 'del a', 'del c']);
  expect(checks).toEqual([0, 1]);
  expect(came).toMatchObject({ keys: 2, differences: 3, whole: true, written: { puts: 1, deletes: 2 } });
});

test.each([['source'], ['target']])('a listing that breaks off deletes nothing, however much it has named: %s', async (which) => {
  const { done, writing } = playedTarget();
  const lost = new Error('lost');
  const source = listed(['z'], which === 'source' ? lost : undefined);
  const target = listed([...many('k', 600), 'z'], which === 'target' ? lost : undefined);
  await expect(pass({ source, target, check: nothing }, writing, () => undefined)).rejects.toThrow('lost');
  expect(done).toEqual([]);
});

test('nothing is deleted when the end of it finds another log', async () => {
  const { done, writing } = playedTarget();
  let asked = 0;
  const check = async (): Promise<void> => {
    if (++asked === 2) throw new Error('another log');
  };
  await expect(pass({ source: listed([]), target: listed(many('k', 600)), check }, writing, () => undefined)).rejects.toThrow(
    'another log',
  );
  expect(done).toEqual([]);
});

test('what is more than can be kept in mind is left, and said so', async () => {
  const { done, writing } = playedTarget();
  const options = { source: listed([]), target: listed(['a', 'b', 'c']), check: nothing, mostHeldBytes: 150 };
  expect(await pass(options, writing, () => undefined)).toMatchObject({ whole: false, differences: 3, written: { deletes: 2 } });
  expect(done).toEqual(['del a', 'del b']);
});

test('a slice that may not be written any more is not', async () => {
  let slices = 0;
  const { done, writing } = playedTarget(async () => {
    if (++slices > 1) throw new Error('of another run');
  });
  const work = pass({ source: listed(many('k', 1_000)), target: listed([]), check: nothing }, writing, () => undefined);
  await expect(work).rejects.toThrow('of another run');
  expect(done).toHaveLength(250);
});
