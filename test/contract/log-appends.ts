/** The log's contract, chapter one: appends. */
import { setMaxListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/core/errors.ts';
import type { Position } from '../../src/ports.ts';
import type { Stage } from './log.ts';
import { bytes, failure, newRecord, o, p, readAll } from './log-harness.ts';

export function appendContract(stage: Stage): void {
  describe('appends', () => {
    test('the position returned is where the record is found', async () => {
      const log = await stage.log();
      const positions: Position[] = [];
      for (let i = 0; i < 9; i += 1) positions.push(await log.append(p(i % 3), newRecord(`k${i}`, `v${i}`)));
      expect(positions.map((at) => `${at.partition}:${at.offset}`)).toEqual([
        '0:0',
        '1:0',
        '2:0',
        '0:1',
        '1:1',
        '2:1',
        '0:2',
        '1:2',
        '2:2',
      ]);
      const read = await readAll(log, stage.harness.timeoutMs);
      for (let i = 0; i < 9; i += 1) expect(read.values(i % 3)[Math.floor(i / 3)]).toBe(`v${i}`);
      expect(read.violations).toEqual([]);
    });

    test('concurrent appends keep the order of the calls in each partition', async () => {
      const log = await stage.log();
      const positions = await Promise.all(Array.from({ length: 600 }, (_, i) => log.append(p(i % 3), newRecord(`k${i}`, `${i}`))));
      const read = await readAll(log, stage.harness.timeoutMs);
      for (const partition of [0, 1, 2]) {
        const expected = Array.from({ length: 200 }, (_, i) => `${i * 3 + partition}`);
        expect(read.values(partition)).toEqual(expected);
        expect(positions.filter((at) => at.partition === partition).map((at) => at.offset)).toEqual(expected.map((_, i) => i));
      }
    });

    test('concurrent appends share commits', async (context) => {
      const topic = await stage.topic();
      const log = await stage.open(topic);
      if (topic.commits === undefined) return context.skip('this log does not count its commits');
      await Promise.all(Array.from({ length: 300 }, (_, i) => log.append(p(i % 3), newRecord(`k${i}`, 'v'))));
      expect(topic.commits(log)).toBeLessThan(30);
    });

    test('a record comes back as it was: every byte, headers, empty and null values', async () => {
      const log = await stage.log();
      const all = Uint8Array.from({ length: 256 }, (_, i) => i);
      await log.append(p(0), { key: all, value: all, headers: { all, empty: new Uint8Array(0), id: bytes('x') } });
      await log.append(p(0), { key: bytes('k'), value: new Uint8Array(0), headers: {} });
      await log.append(p(0), { key: bytes('k'), value: null, headers: { op: bytes('t') } });
      const [whole, empty, tombstone] = (await readAll(log, stage.harness.timeoutMs)).records(0);
      expect(Buffer.from(whole?.key ?? [])).toEqual(Buffer.from(all));
      expect(Buffer.from(whole?.value ?? [])).toEqual(Buffer.from(all));
      expect(Object.keys(whole?.headers ?? {}).sort()).toEqual(['all', 'empty', 'id']);
      expect(Buffer.from((whole?.headers?.['all'] ?? []) as Uint8Array)).toEqual(Buffer.from(all));
      expect(whole?.headers?.['empty']).toHaveLength(0);
      expect(empty?.value).not.toBeNull();
      expect(empty?.value?.length).toBe(0);
      // A record without headers may come back with none, or with an empty set of them.
      expect(Object.keys(empty?.headers ?? {})).toEqual([]);
      expect(tombstone?.value).toBeNull();
      expect(Object.keys(tombstone?.headers ?? {})).toEqual(['op']);
    });

    test("the bytes are the caller's again once the append has settled", async () => {
      const log = await stage.log();
      const record = newRecord('key', 'value');
      await log.append(p(0), record);
      record.key.fill(0);
      record.value?.fill(0);
      expect((await readAll(log, stage.harness.timeoutMs)).values(0)).toEqual(['value']);
    });

    test('times are log-append times, and never go back in a partition', async () => {
      const log = await stage.log();
      for (let i = 0; i < 20; i += 1) await log.append(p(0), newRecord('k', `${i}`));
      const times = (await readAll(log, stage.harness.timeoutMs)).records(0).map((record) => record.time);
      expect(times).toEqual([...times].sort((a, b) => a - b));
      expect(times[0]).toBeGreaterThan(1_500_000_000_000);
    });

    test('a value within the bound is taken, one beyond it is refused, and others are not harmed by it', async () => {
      const topic = await stage.topic();
      const log = await stage.open(topic);
      const large = { key: bytes('k'), value: new Uint8Array(topic.maxRecordBytes - 1_000), headers: {} };
      const tooLarge = { key: bytes('k'), value: new Uint8Array(topic.maxRecordBytes + 1), headers: {} };
      const [before, refused, after] = await Promise.all([
        failure(log.append(p(0), large)),
        failure(log.append(p(0), tooLarge)),
        failure(log.append(p(0), newRecord('k', 'small'))),
      ]);
      expect([before, refused, after]).toEqual([undefined, 'value-too-large', undefined]);
      expect((await readAll(log, stage.harness.timeoutMs)).records(0).map((record) => record.value?.length)).toEqual([
        large.value.length,
        5,
      ]);
    });

    test('what does not fit into the queue is refused as overloaded, and is not in the log', async () => {
      const log = await stage.open(await stage.topic(), { maxPendingRecords: 10 });
      const codes = await Promise.all(Array.from({ length: 100 }, (_, i) => failure(log.append(p(0), newRecord(`k${i}`, `${i}`)))));
      const taken = codes.flatMap((code, i) => (code === undefined ? [`${i}`] : []));
      expect(new Set(codes)).toEqual(new Set([undefined, 'overloaded']));
      expect(await failure(log.append(p(0), newRecord('k', 'later')))).toBeUndefined();
      expect((await readAll(log, stage.harness.timeoutMs)).values(0)).toEqual([...taken, 'later']);
    });

    test('an append in any moment after the one before has settled is taken', async () => {
      const log = await stage.log();
      for (let turns = 0; turns < 24; turns += 1) {
        await log.append(p(0), newRecord('k', 'before'));
        for (let turn = 0; turn < turns; turn += 1) await undefined;
        await log.append(p(0), newRecord('k', `${turns}`));
      }
      expect((await log.bounds())[0]?.next).toBe(48);
    });

    test('a signal that was aborted before withdraws the record', async () => {
      const log = await stage.log();
      expect(await failure(log.append(p(0), newRecord('k', 'no'), AbortSignal.abort()))).toBe('log-unavailable');
      await log.append(p(0), newRecord('k', 'yes'));
      expect((await readAll(log, stage.harness.timeoutMs)).values(0)).toEqual(['yes']);
    });

    test('a signal aborted during the append ends the wait at once, and the answer is true', async () => {
      const log = await stage.log();
      const work: Promise<ErrorCode | undefined>[] = [];
      // Aborted while queued, when the first may be on their way, and when they surely are or have settled.
      for (const moment of [() => undefined, () => Promise.resolve(), () => new Promise(setImmediate)]) {
        for (let round = 0; round < 5; round += 1) {
          const abort = new AbortController();
          setMaxListeners(20, abort.signal);
          for (let i = 0; i < 10; i += 1)
            work.push(failure(log.append(p(0), newRecord(`k${work.length}`, `${work.length}`), abort.signal)));
          await moment();
          abort.abort();
          await Promise.all(work);
        }
      }
      const codes = await Promise.all(work);
      await log.append(p(0), newRecord('k', 'fence'));
      const found = new Set((await readAll(log, stage.harness.timeoutMs)).values(0));
      for (const [i, code] of codes.entries()) {
        expect([undefined, 'log-unavailable', 'unknown-outcome']).toContain(code);
        if (code === undefined) expect(found.has(`${i}`)).toBe(true);
        if (code === 'log-unavailable') expect(found.has(`${i}`)).toBe(false);
      }
    });

    test('an abort after the append has settled changes nothing', async () => {
      const log = await stage.log();
      const abort = new AbortController();
      const position = await log.append(p(1), newRecord('k', 'v'), abort.signal);
      abort.abort();
      expect(position).toEqual({ partition: 1, offset: o(0) });
      expect((await readAll(log, stage.harness.timeoutMs)).values(1)).toEqual(['v']);
    });
  });
}
