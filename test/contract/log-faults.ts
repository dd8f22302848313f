/** The log's contract, chapter six: interruptions. */
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/core/errors.ts';
import type { Log, Position } from '../../src/ports.ts';
import type { Stage } from './log.ts';
import { collect, failure, fromStart, newRecord, o, p, readAll } from './log-harness.ts';

/** Far above what the pauses of a real broker take: 8 x 2.6 s, and the catching up. */
const faultTimeoutMs = 240_000;

/** An append of one record, or of several together. */
interface Attempt {
  readonly values: readonly string[];
  readonly partition: number;
  outcome: Position | ErrorCode | undefined;
}

export function faultContract(stage: Stage): void {
  const patience = () => stage.harness.timeoutMs;

  describe('faults', () => {
    /*
     * Why this test is here: a client library may roll its sequence number back when a request times out, so that the broker takes the next
     * batch for a duplicate and the library reports it as written. Only pauses of the broker under concurrent appends bring that out.
     */
    test(
      'every acknowledged append is in the log at its position, once and in order, however often the log is interrupted',
      async (context) => {
        const topic = await stage.topic();
        if (topic.interrupt === undefined) return context.skip('nothing can interrupt this log');
        const { times, forMs, gapMs } = stage.harness.pauses;
        const log = await stage.open(topic);
        const attempts: Attempt[] = [];
        const load = startLoad(log, attempts);
        for (let i = 0; i < times; i += 1) {
          await pause(gapMs);
          await topic.interrupt(forMs);
        }
        await pause(gapMs);
        await load.stop();
        await expect.poll(() => failure(log.append(p(0), newRecord('fence', 'fence'))), { timeout: patience() }).toBeUndefined();

        const read = await readAll(log, patience());
        const acknowledged = attempts.filter((attempt) => typeof attempt.outcome === 'object');
        expect(acknowledged.length).toBeGreaterThan(0);
        for (const partition of [0, 1, 2]) {
          const at = new Map(read.records(partition).map((record, i) => [record.offset, read.values(partition)[i]]));
          const mine = acknowledged.filter((attempt) => attempt.partition === partition);
          const offsets = mine.flatMap(({ values, outcome }) => values.map((_, i) => o((outcome as Position).offset + i)));
          expect(offsets.map((offset) => at.get(offset))).toEqual(mine.flatMap((attempt) => attempt.values));
          expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
          const values = read.values(partition).filter((value) => value !== 'fence');
          expect(values).toHaveLength(new Set(values).size);
          const absent = attempts.filter((attempt) => attempt.partition === partition && attempt.outcome === 'log-unavailable');
          expect(absent.flatMap((attempt) => attempt.values).filter((value) => values.includes(value))).toEqual([]);
          // Whatever was answered: side by side, all or none, in one batch.
          const all = read.values(partition);
          const batches = await topic.batches?.(p(partition));
          for (const attempt of attempts.filter((each) => each.partition === partition && all.includes(each.values[0]))) {
            const first = all.indexOf(attempt.values[0]);
            const end = first + attempt.values.length;
            expect(all.slice(first, end)).toEqual(attempt.values);
            expect(new Set(batches?.slice(first, end)).size).toBeLessThanOrEqual(1);
          }
        }
      },
      faultTimeoutMs,
    );

    test(
      'a subscription goes on after an interruption, without a gap',
      async (context) => {
        const topic = await stage.topic();
        if (topic.interrupt === undefined) return context.skip('nothing can interrupt this log');
        const log = await stage.open(topic);
        const { collector, subscription } = await collect(log, fromStart(log));
        const attempts: Attempt[] = [];
        const load = startLoad(log, attempts);
        await collector.until(() => collector.next(0) >= 5, 'the first', patience());
        await topic.interrupt(stage.harness.pauses.forMs);
        await load.stop();
        await expect.poll(() => failure(log.append(p(0), newRecord('fence', 'fence'))), { timeout: patience() }).toBeUndefined();
        const ends = (await log.bounds()).map((bounds) => bounds.next);
        await collector.until(() => ends.every((end, partition) => collector.next(partition) >= end), 'all of it', patience());
        const read = await readAllOf(log, subscription, patience());
        for (const partition of [0, 1, 2]) expect(collector.values(partition)).toEqual(read.values(partition));
        expect(collector.violations).toEqual([]);
        expect(collector.error).toBeUndefined();
      },
      faultTimeoutMs,
    );
  });
}

async function readAllOf(log: Log, subscription: { close(): Promise<void> }, timeoutMs: number) {
  await subscription.close();
  return readAll(log, timeoutMs);
}

/** One append every 10 ms to each of three partitions, whatever became of those before; every third is of five records together. */
function startLoad(log: Log, attempts: Attempt[]): { stop(): Promise<void> } {
  const work: Promise<void>[] = [];
  let ticks = 0;
  const timer = setInterval(() => {
    ticks += 1;
    for (const partition of [0, 1, 2]) {
      const name = `${partition}-${attempts.length}`;
      const values = ticks % 3 === 0 ? Array.from({ length: 5 }, (_, i) => `${name}-${i}`) : [name];
      const attempt: Attempt = { values, partition, outcome: undefined };
      attempts.push(attempt);
      work.push(settle(log, attempt));
    }
  }, 10);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(work);
    },
  };
}

async function settle(log: Log, attempt: Attempt): Promise<void> {
  const records = attempt.values.map((value) => newRecord(value, value));
  const work = records.length === 1 ? log.append(p(attempt.partition), records[0]!) : log.appendTogether(p(attempt.partition), records);
  const code = await failure(
    work.then((position) => {
      attempt.outcome = position;
    }),
  );
  if (code !== undefined) attempt.outcome = code;
}
