/** The log's contract, chapter seven: stretches, read beside whatever is subscribed. */
import { describe, expect, test } from 'vitest';
import type { Log, LogRange } from '../../src/ports.ts';
import type { Stage } from './log.ts';
import { collect, failure, fromStart, newRecord, p, range, readAll, readStretch, valuesOf } from './log-harness.ts';

export function stretchContract(stage: Stage): void {
  const patience = () => stage.harness.timeoutMs;
  const fill = (log: Log, partition: number, count: number, name = 'v') =>
    Promise.all(Array.from({ length: count }, (_, i) => log.append(p(partition), newRecord(`k${i}`, `${name}${i}`))));
  const numbered = (from: number, to: number, name = 'v') => Array.from({ length: to - from }, (_, i) => `${name}${from + i}`);
  const codeOfReading = (log: Log, asked: LogRange, signal?: AbortSignal) => failure(readStretch(log, asked, signal));
  /** Records so large that a stretch of them takes several batches. */
  const fillLarge = (log: Log, count: number) =>
    Promise.all(Array.from({ length: count }, (_, i) => log.append(p(0), newRecord(`k${i}`, `${i}-`.padEnd(15_000, 'x')))));

  describe('stretches', () => {
    test('a whole partition is what a subscription is given', async () => {
      const log = await stage.log();
      await fill(log, 0, 50);
      await log.append(p(0), newRecord('gone', null, { op: Buffer.from('t'), by: Buffer.from('me') }));
      await fill(log, 1, 7);
      const subscribed = await readAll(log, patience());
      for (const partition of [0, 1]) {
        const end = subscribed.next(partition);
        const batches = await readStretch(log, range(partition, 0, end));
        expect(batches.flatMap(({ records }) => records)).toEqual(subscribed.records(partition));
        expect(batches.at(-1)?.next).toBe(end);
        expect(batches.every(({ jumped }) => !jumped)).toBe(true);
      }
    });

    test('a stretch has what is in it, and nothing of what stands around it', async () => {
      const log = await stage.log();
      await fill(log, 0, 50);
      for (const [from, to] of [
        [0, 1],
        [17, 18],
        [10, 33],
        [49, 50],
      ] as const) {
        const batches = await readStretch(log, range(0, from, to));
        expect(valuesOf(batches)).toEqual(numbered(from, to));
        expect(batches.at(-1)?.next).toBe(to);
      }
    });

    test('a stretch that reaches beyond the end ends there, and an empty one brings nothing', async () => {
      const log = await stage.log();
      await fill(log, 0, 5);
      const batches = await readStretch(log, range(0, 3, 1_000));
      expect(valuesOf(batches)).toEqual(['v3', 'v4']);
      expect(batches.at(-1)).toMatchObject({ next: 5, end: 5 });
      for (const nothing of [range(0, 5, 1_000), range(0, 900, 1_000), range(0, 3, 3), range(0, 4, 2), range(1, 0, 10)])
        expect(await readStretch(log, nothing)).toEqual([]);
    });

    test('a stretch too large for one batch comes in several, and only as it is asked for', async () => {
      const log = await stage.log();
      await fillLarge(log, 150);
      const sizes = (await readStretch(log, range(0, 0, 150))).map(({ records }) =>
        records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0),
      );
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(150 * 15_000);
      expect(sizes.length).toBeGreaterThan(1);
      expect(Math.max(...sizes)).toBeLessThan(1_200_000);
      // Whoever pauses for long goes on where he was.
      const reading = log.read(range(0, 0, 150))[Symbol.asyncIterator]();
      const first = await reading.next();
      await fill(log, 0, 5, 'later');
      const second = await reading.next();
      expect(second.value?.first).toBe(first.value?.next);
      await reading.return?.();
    });

    test('whoever stops early leaves nothing behind', async () => {
      const log = await stage.open(await stage.topic(), { maxStretches: 1 });
      await fillLarge(log, 150);
      for (let round = 0; round < 5; round += 1) {
        for await (const batch of log.read(range(0, 0, 150))) {
          expect(batch.first).toBe(0);
          break;
        }
        // Never begun, and yet returned; and one that is forgotten before it has begun.
        await log
          .read(range(0, 0, 150))
          [Symbol.asyncIterator]()
          .return?.();
        log.read(range(0, 0, 150));
      }
      expect((await readStretch(log, range(0, 140, 150))).at(-1)?.next).toBe(150);
    });

    test('many are read at a time, of one partition and of several', async () => {
      const log = await stage.log();
      await Promise.all([0, 1, 2].map((partition) => fill(log, partition, 60, `${partition}-`)));
      const asked = Array.from({ length: 24 }, (_, i) => [i % 3, i, 60 - i] as const);
      const read = await Promise.all(asked.map(([partition, from, to]) => readStretch(log, range(partition, from, to))));
      for (const [i, [partition, from, to]] of asked.entries()) {
        expect(valuesOf(read[i] ?? [])).toEqual(numbered(from, Math.max(from, to), `${partition}-`));
      }
    });

    test('more than the log bears are refused as overloaded, until one has ended', async () => {
      const log = await stage.open(await stage.topic(), { maxStretches: 2 });
      await fill(log, 0, 5);
      const open = [0, 1].map(() => log.read(range(0, 0, 5))[Symbol.asyncIterator]());
      await Promise.all(open.map((reading) => reading.next()));
      expect(await codeOfReading(log, range(0, 0, 5))).toBe('overloaded');
      expect(await codeOfReading(log, range(1, 0, 5))).toBe('overloaded');
      await open[0]?.return?.();
      expect(valuesOf(await readStretch(log, range(0, 0, 5)))).toEqual(numbered(0, 5));
      await open[1]?.return?.();
    });

    test('a signal ends it as closed: before, between two batches, and while one is waited for', async () => {
      const log = await stage.log();
      await fillLarge(log, 150);
      expect(await codeOfReading(log, range(0, 0, 150), AbortSignal.abort())).toBe('closed');
      const between = new AbortController();
      const reading = log.read(range(0, 0, 150), between.signal)[Symbol.asyncIterator]();
      await reading.next();
      between.abort();
      expect(await failure(reading.next())).toBe('closed');
      expect((await reading.next()).done).toBe(true);
      const during = new AbortController();
      const work = codeOfReading(log, range(0, 0, 150), during.signal);
      during.abort();
      expect(await work).toBe('closed');
      expect((await readStretch(log, range(0, 0, 150))).at(-1)?.next).toBe(150);
    });

    test('while appends go on it ends where the log ended when it began, or later', async () => {
      const log = await stage.log();
      await fill(log, 0, 20);
      let going = true;
      const load = (async () => {
        for (let i = 20; going; i += 1) await log.append(p(0), newRecord(`k${i}`, `v${i}`));
      })();
      for (let round = 0; round < 10; round += 1) {
        const before = (await log.bounds())[0]?.next ?? 0;
        const batches = await readStretch(log, range(0, 0, 1_000_000));
        const end = batches.at(-1)?.next ?? 0;
        expect(end).toBeGreaterThanOrEqual(before);
        expect(valuesOf(batches)).toEqual(numbered(0, end));
      }
      going = false;
      await load;
    });

    test('a subscription goes on undisturbed', async () => {
      const log = await stage.log();
      const { collector, subscription } = await collect(log, fromStart(log));
      for (let round = 0; round < 5; round += 1) {
        const [, ...read] = await Promise.all([
          fill(log, 0, 40, `${round}-`),
          ...[0, 10, 20].map((from) => readStretch(log, range(0, from, (round + 1) * 40))),
        ]);
        // What is appended meanwhile is read, or not yet; never with a hole.
        for (const batches of read) expect(batches.every(({ jumped }) => !jumped)).toBe(true);
      }
      await collector.until(() => collector.next(0) === 200, 'all of it', patience());
      expect(valuesOf(await readStretch(log, range(0, 0, 200)))).toEqual(collector.values(0));
      expect(collector.violations).toEqual([]);
      expect(collector.error).toBeUndefined();
      await subscription.close();
    });

    test('closing the log ends what is being read, and refuses more', async () => {
      const log = await stage.log();
      await fillLarge(log, 150);
      const between = log.read(range(0, 0, 150))[Symbol.asyncIterator]();
      await between.next();
      const during = failure(readStretch(log, range(0, 0, 150)));
      await log.close();
      expect(await during).toBe('closed');
      expect(await failure(between.next())).toBe('closed');
      expect(await codeOfReading(log, range(0, 0, 150))).toBe('closed');
    });

    test('without the log it fails as log-unavailable, and works again afterwards', async (context) => {
      const topic = await stage.topic();
      if (topic.disconnect === undefined || topic.reconnect === undefined) return context.skip('this log has no wire to cut');
      const log = await stage.open(topic);
      await fillLarge(log, 150);
      const reading = log.read(range(0, 0, 150))[Symbol.asyncIterator]();
      await reading.next();
      await topic.disconnect();
      expect(await failure(reading.next())).toBe('log-unavailable');
      expect(await codeOfReading(log, range(0, 0, 150))).toBe('log-unavailable');
      await topic.reconnect();
      expect((await readStretch(log, range(0, 0, 150))).at(-1)?.next).toBe(150);
    });

    test('across an interruption it comes whole, or fails as log-unavailable', async (context) => {
      const topic = await stage.topic();
      if (topic.interrupt === undefined) return context.skip('nothing can interrupt this log');
      const log = await stage.open(topic);
      await fill(log, 0, 30);
      let over = false;
      const readers = [0, 1, 2].map(async () => {
        while (!over) {
          const code = await failure(
            readStretch(log, range(0, 0, 30)).then((batches) => expect(valuesOf(batches)).toEqual(numbered(0, 30))),
          );
          expect([undefined, 'log-unavailable']).toContain(code);
          // Embedded and memory fail within a microtask: others must have their turn.
          await new Promise(setImmediate);
        }
      });
      // An embedded log notices only that it cannot write.
      const appended = topic.interrupt(stage.harness.pauses.forMs);
      void log.append(p(1), newRecord('k', 'v')).catch(() => undefined);
      await appended;
      over = true;
      await Promise.all(readers);
      await expect.poll(() => codeOfReading(log, range(0, 0, 30)), { timeout: patience() }).toBeUndefined();
      expect(valuesOf(await readStretch(log, range(0, 0, 30)))).toEqual(numbered(0, 30));
    });
  });
}
