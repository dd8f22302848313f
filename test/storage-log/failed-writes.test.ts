/** What a failed write is answered with: the truth, found by opening the log again. */
import { expect, test } from 'vitest';
import { FaultyDisk } from '../contract/log-embedded-harness.ts';
import { collect, failure, fromStart, newRecord, p, readAll } from '../contract/log-harness.ts';
import { freshDirectory, openIn } from './setting.ts';

const limits = { reopenMinMs: 5, reopenMaxMs: 20, outcomeWaitMs: 2_000 };

/** A disk whose next writes fail once, so that opening again succeeds at the second attempt. */
async function stage(outcomeWaitMs = limits.outcomeWaitMs) {
  const disk = new FaultyDisk();
  const log = await openIn(await freshDirectory(), { openLevel: disk.open, limits: { ...limits, outcomeWaitMs } });
  await log.append(p(0), newRecord('k', 'first'));
  return { disk, log };
}

test('a write that failed and is not there: certainly not in the log', async () => {
  const { disk, log } = await stage();
  disk.failing = 'before';
  const lost = failure(log.append(p(0), newRecord('k', 'lost')));
  await expect.poll(() => log.state).toBe('disconnected');
  disk.failing = 'no';
  expect(await lost).toBe('log-unavailable');
  expect(await log.append(p(0), newRecord('k', 'next'))).toEqual({ partition: 0, offset: 1 });
  expect((await readAll(log, 10_000)).values(0)).toEqual(['first', 'next']);
});

test('a write that failed and is there: acknowledged', async () => {
  const { disk, log } = await stage();
  disk.failing = 'after';
  const written = log.append(p(0), newRecord('k', 'written'));
  await expect.poll(() => log.state).toBe('disconnected');
  disk.failing = 'no';
  expect(await written).toEqual({ partition: 0, offset: 1 });
  expect((await readAll(log, 10_000)).values(0)).toEqual(['first', 'written']);
});

test('a write that failed and cannot be looked for: unknown; others are refused clean until the log is open again', async () => {
  const { disk, log } = await stage(50);
  const { collector, subscription } = await collect(log, fromStart(log));
  disk.failing = 'after';
  expect(await failure(log.append(p(0), newRecord('k', 'unknown')))).toBe('unknown-outcome');
  expect(log.state).toBe('disconnected');
  expect(await failure(log.append(p(0), newRecord('k', 'refused')))).toBe('log-unavailable');
  expect(await failure(log.bounds())).toBe('log-unavailable');
  disk.failing = 'no';
  await expect.poll(() => log.state).toBe('connected');
  await log.append(p(0), newRecord('k', 'next'));
  await collector.until(() => collector.next(0) === 3, 'all three', 10_000);
  expect(collector.values(0)).toEqual(['first', 'unknown', 'next']);
  await subscription.close();
});

test('a log that is closed while its disk is dead closes, in bounded time', async () => {
  const { disk, log } = await stage(50);
  disk.failing = 'before';
  expect(await failure(log.append(p(0), newRecord('k', 'lost')))).toBe('unknown-outcome');
  await log.close();
  expect(log.state).toBe('closed');
  expect(await failure(log.append(p(0), newRecord('k', 'lost')))).toBe('closed');
});

test.each(['before', 'after'] as const)('records together whose write failed are all there or none: %s', async (when) => {
  const { disk, log } = await stage();
  disk.failing = when;
  const work = log.appendTogether(p(0), [newRecord('k', 'a'), newRecord('l', 'b'), newRecord('m', 'c')]);
  const code = failure(work);
  await expect.poll(() => log.state).toBe('disconnected');
  disk.failing = 'no';
  expect(await code).toBe(when === 'before' ? 'log-unavailable' : undefined);
  if (when === 'after') expect(await work).toEqual({ partition: 0, offset: 1 });
  expect((await readAll(log, 10_000)).values(0)).toEqual(when === 'before' ? ['first'] : ['first', 'a', 'b', 'c']);
});

test.each(['before', 'after'] as const)('a seal that the disk did not confirm is there or not, and nothing else is: %s', async (when) => {
  const { disk, log } = await stage();
  const options = { keep: async () => undefined, probe: () => newRecord('k', 'probe') };
  disk.failing = when;
  expect(await failure(log.seal(options))).toBe('log-unavailable');
  disk.failing = 'no';
  await expect.poll(() => log.state).toBe('connected');
  expect(log.sealed).toBe(when === 'after');
  expect(await failure(log.append(p(0), newRecord('k', 'next')))).toBe(when === 'after' ? 'log-sealed' : undefined);
  expect(await log.seal(options)).toEqual((await log.bounds()).map(({ next }) => next));
  disk.failing = when;
  expect(await failure(log.unseal())).toBe('log-unavailable');
  disk.failing = 'no';
  await expect.poll(() => log.state).toBe('connected');
  expect(log.sealed).toBe(when === 'before');
  await log.unseal();
  expect(await failure(log.append(p(0), newRecord('k', 'last')))).toBeUndefined();
});

test.each(['before', 'after'] as const)('a log that is sealed while a commit fails is sealed when it says so: %s', async (when) => {
  const { disk, log } = await stage();
  let commit: Promise<string | undefined> | undefined;
  // Under way when the log is closed; it ends when the disk has been opened again, and was read.
  const keep = async (): Promise<void> => {
    disk.failing = when;
    commit = failure(log.append(p(0), newRecord('k', 'failing')));
    await new Promise(setImmediate);
  };
  const probe = () => newRecord('k', 'probe');
  const first = log.seal({ keep, probe });
  await expect.poll(() => log.state).toBe('disconnected');
  const second = log.seal({ keep: async () => undefined, probe });
  disk.failing = 'no';
  const ends = await first;
  expect(await commit).toBe(when === 'before' ? 'log-unavailable' : undefined);
  expect(log.sealed).toBe(true);
  expect(await failure(log.append(p(0), newRecord('k', 'late')))).toBe('log-sealed');
  expect([ends, await second]).toEqual([[when === 'before' ? 1 : 2, 0], ends]);
  expect((await log.bounds()).map(({ next }) => next)).toEqual(ends);
});

test('who seals a log that is being sealed is told so when the disk has it, and not before', async () => {
  const { disk, log } = await stage();
  const options = { keep: async () => undefined, probe: () => newRecord('k', 'probe') };
  disk.failing = 'before';
  const outcomes = Promise.all([failure(log.seal(options)), failure(log.seal(options))]);
  expect(await outcomes).toEqual(['log-unavailable', 'log-unavailable']);
  disk.failing = 'no';
  await expect.poll(() => log.state).toBe('connected');
  expect(log.sealed).toBe(false);
});
