/** The log's contract, chapter two: records appended together stand side by side, all or none. */
import { setMaxListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/core/errors.ts';
import type { Log, NewRecord, Position } from '../../src/ports.ts';
import type { Stage } from './log.ts';
import { bytes, failure, newRecord, p, readAll } from './log-harness.ts';

/** Names of records; each is both key and value. */
const named = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}-${i}`);

const append = (log: Log, partition: number, names: readonly string[], signal?: AbortSignal): Promise<Position> =>
  log.appendTogether(
    p(partition),
    names.map((name) => newRecord(name, name)),
    signal,
  );

export function togetherContract(stage: Stage): void {
  const patience = () => stage.harness.timeoutMs;

  describe('appends together', () => {
    test('they stand side by side, in the order of the calls, with the place of the first', async () => {
      const topic = await stage.topic();
      const log = await stage.open(topic);
      const groups = Array.from({ length: 90 }, (_, i) => named(`${i}`, 1 + (i % 7)));
      const work = groups.flatMap((group, i) => [append(log, i % 3, group), log.append(p(i % 3), newRecord('k', `single-${i}`))]);
      const positions = await Promise.all(work);
      const read = await readAll(log, patience());
      for (const partition of [0, 1, 2]) {
        const expected = groups.flatMap((group, i) => (i % 3 === partition ? [...group, `single-${i}`] : []));
        expect(read.values(partition)).toEqual(expected);
        const batches = await topic.batches?.(p(partition));
        for (const [i, group] of groups.entries()) {
          if (i % 3 !== partition) continue;
          const first = expected.indexOf(group[0]!);
          expect(positions[2 * i]).toEqual({ partition, offset: first });
          expect(positions[2 * i + 1]).toEqual({ partition, offset: first + group.length });
          expect(new Set(batches?.slice(first, first + group.length)).size).toBeLessThanOrEqual(1);
        }
      }
      expect(read.violations).toEqual([]);
    });

    test('no limit of a commit divides them', async () => {
      const topic = await stage.topic();
      const log = await stage.open(topic, { maxCommitRecords: 4 });
      const groups = [named('a', 1), named('b', 1), named('c', 30), named('d', 1), named('e', 3), named('f', 3), named('g', 5)];
      await Promise.all(groups.map((group) => append(log, 0, group)));
      const all = (await readAll(log, patience())).values(0);
      expect(all).toEqual(groups.flat());
      const batches = (await topic.batches?.(p(0))) ?? [];
      for (const group of groups) {
        const first = all.indexOf(group[0]);
        expect(new Set(batches.slice(first, first + group.length)).size).toBeLessThanOrEqual(1);
      }
      const before = topic.commits?.(log) ?? 0;
      await append(log, 1, named('h', 50));
      if (topic.commits !== undefined) expect(topic.commits(log)).toBe(before + 1);
    });

    test('a thousand of them may have all the bytes that the log tells, and not one more', async () => {
      const topic = await stage.topic();
      const log = await stage.open(topic);
      const { togetherBytes } = log.identity;
      expect(await failure(log.appendTogether(p(0), thousand(togetherBytes)))).toBeUndefined();
      const batches = await topic.batches?.(p(0));
      if (batches !== undefined) expect(batches).toEqual(Array.from({ length: 1_000 }, () => 0));
      const more = log.appendTogether(p(0), thousand(togetherBytes + 1));
      await expect(more).rejects.toMatchObject({ code: 'batch-invalid', message: expect.stringContaining(`${togetherBytes}`) });
      expect((await log.bounds())[0]?.next).toBe(1_000);
    });

    test('one that is too large is refused with the others, and none of them is in the log', async () => {
      const topic = await stage.topic();
      const log = await stage.open(topic);
      const large = (size: number): NewRecord => ({ key: bytes('k'), value: new Uint8Array(size), headers: {} });
      const codes = await Promise.all([
        failure(append(log, 0, ['before'])),
        failure(log.appendTogether(p(0), [newRecord('k', 'no'), large(topic.maxRecordBytes + 1), newRecord('k', 'no')])),
        failure(log.appendTogether(p(0), [large(topic.maxRecordBytes - 1_000)])),
        failure(log.appendTogether(p(0), [])),
        failure(append(log, 0, ['after', 'all'])),
      ]);
      expect(codes).toEqual([undefined, 'value-too-large', undefined, 'batch-invalid', undefined]);
      const sizes = (await readAll(log, patience())).records(0).map((record) => record.value?.length);
      expect(sizes).toEqual([6, topic.maxRecordBytes - 1_000, 5, 3]);
    });

    test('what does not fit into the queue is refused as overloaded, all of it', async () => {
      const log = await stage.open(await stage.topic(), { maxPendingRecords: 10 });
      const groups = Array.from({ length: 40 }, (_, i) => named(`${i}`, 4));
      const codes = await Promise.all(groups.map((group) => failure(append(log, 0, group))));
      expect(new Set(codes)).toEqual(new Set([undefined, 'overloaded']));
      await append(log, 0, ['later', 'too']);
      const taken = groups.filter((_, i) => codes[i] === undefined);
      expect((await readAll(log, patience())).values(0)).toEqual([...taken.flat(), 'later', 'too']);
    });

    test('a signal that was aborted before withdraws all of them', async () => {
      const log = await stage.log();
      expect(await failure(append(log, 0, ['a', 'b'], AbortSignal.abort()))).toBe('log-unavailable');
      await append(log, 0, ['c', 'd']);
      expect((await readAll(log, patience())).values(0)).toEqual(['c', 'd']);
    });

    test('a signal aborted during the append ends the wait at once, and the answer is true of all', async () => {
      const log = await stage.log();
      const groups: string[][] = [];
      const work: Promise<ErrorCode | undefined>[] = [];
      // Aborted while queued, when the first may be on their way, and when they surely are or have settled.
      for (const moment of [() => undefined, () => Promise.resolve(), () => new Promise(setImmediate)]) {
        for (let round = 0; round < 5; round += 1) {
          const abort = new AbortController();
          setMaxListeners(20, abort.signal);
          for (let i = 0; i < 10; i += 1) {
            const group = named(`${groups.length}`, 3);
            groups.push(group);
            work.push(failure(append(log, 0, group, abort.signal)));
          }
          await moment();
          abort.abort();
          await Promise.all(work);
        }
      }
      await log.append(p(0), newRecord('k', 'fence'));
      await expectTruth(log, groups, await Promise.all(work), [undefined, 'log-unavailable', 'unknown-outcome']);
    });

    test('those under way when the log is closed have a true answer; afterwards they are refused as closed', async () => {
      const topic = await stage.topic();
      const log = await stage.open(topic);
      const groups = Array.from({ length: 40 }, (_, i) => named(`${i}`, 3));
      const early = groups.slice(0, 30).map((group) => failure(append(log, 0, group)));
      await Promise.race(early);
      const late = groups.slice(30).map((group) => failure(append(log, 0, group)));
      await log.close();
      expect(await failure(append(log, 0, ['a', 'b']))).toBe('closed');
      const codes = await Promise.all([...early, ...late]);
      await expectTruth(await stage.open(topic), groups, codes, [undefined, 'closed', 'unknown-outcome']);
    });

    test('while nothing can be sent, they fail clean', async (context) => {
      const topic = await stage.topic();
      if (topic.disconnect === undefined || topic.reconnect === undefined) return context.skip('this log has no wire to cut');
      const log = await stage.open(topic);
      await topic.disconnect();
      expect(await failure(append(log, 0, ['a', 'b']))).toBe('log-unavailable');
      await topic.reconnect();
      await expect.poll(() => log.state, { timeout: patience() }).toBe('connected');
      expect(await append(log, 0, ['c', 'd'])).toEqual({ partition: 0, offset: 0 });
      expect((await readAll(log, patience())).values(0)).toEqual(['c', 'd']);
    });
  });

  /** Acknowledged: there, side by side. Certainly not in the log: none of them. Unknown: all of them or none. */
  async function expectTruth(
    log: Log,
    groups: readonly string[][],
    codes: readonly (ErrorCode | undefined)[],
    expected: readonly (ErrorCode | undefined)[],
  ): Promise<void> {
    const all = (await readAll(log, patience())).values(0);
    for (const [i, group] of groups.entries()) {
      const code = codes[i];
      expect(expected).toContain(code);
      const first = all.indexOf(group[0]);
      const found = first < 0 ? all.filter((value) => group.includes(value ?? '')) : all.slice(first, first + group.length);
      if (code === undefined || first >= 0) expect(found).toEqual(group);
      else expect(found).toEqual([]);
      if (code === 'log-unavailable' || code === 'closed') expect(found).toEqual([]);
    }
  }
}

/** As many as an atomic batch may have, with as many headers as a member may have, and so many bytes together. */
function thousand(togetherBytes: number): NewRecord[] {
  const headers = Object.fromEntries(named('h', 8).map((name) => [name, bytes(`${name}-value`)]));
  const rest = Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + value.length, 'key-000'.length);
  const share = Math.floor(togetherBytes / 1_000);
  return Array.from({ length: 1_000 }, (_, i) => {
    const size = i === 0 ? togetherBytes - 999 * share : share;
    return { key: bytes(`key-${String(i).padStart(3, '0')}`), value: new Uint8Array(size - rest), headers };
  });
}
