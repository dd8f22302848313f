/** The log's contract, chapter five: every operation in each state of a log's life. */
import { describe, expect, test } from 'vitest';
import type { Stage } from './log.ts';
import { collect, failure, fromStart, newRecord, p, readAll } from './log-harness.ts';

export function lifecycleContract(stage: Stage): void {
  const patience = () => stage.harness.timeoutMs;

  describe('lifecycle', () => {
    test('an open log is connected and knows which log it is', async () => {
      const log = await stage.log();
      expect(log.state).toBe('connected');
      expect(log.identity.partitions).toBe(3);
      expect(log.identity.clusterId).not.toBe('');
      expect(log.identity.topic).not.toBe('');
      expect(log.identity.logAppendTime).toBe(true);
    });

    test('a closed log refuses everything as closed, and closes again without a word', async () => {
      const log = await stage.log();
      await Promise.all([log.close(), log.close()]);
      await log.close();
      expect(log.state).toBe('closed');
      expect(await failure(log.append(p(0), newRecord('k', 'v')))).toBe('closed');
      expect(await failure(log.bounds())).toBe('closed');
      expect(await failure(collect(log, fromStart(log)))).toBe('closed');
    });

    test('closing the log ends its subscription: no batch begins afterwards', async () => {
      const topic = await stage.topic();
      const log = await stage.open(topic);
      await log.append(p(0), newRecord('k', 'v'));
      const { collector, subscription } = await collect(log, fromStart(log));
      await collector.until(() => collector.next(0) === 1, 'the record', patience());
      await log.close();
      const reopened = await stage.open(topic);
      await reopened.append(p(0), newRecord('k', 'w'));
      expect((await readAll(reopened, patience())).values(0)).toEqual(['v', 'w']);
      expect(collector.values(0)).toEqual(['v']);
      await subscription.close();
    });

    test('appends under way when the log is closed have a true answer', async () => {
      const topic = await stage.topic();
      const log = await stage.open(topic);
      const work = Array.from({ length: 60 }, (_, i) => failure(log.append(p(0), newRecord(`k${i}`, `${i}`))));
      await Promise.race(work);
      const late = Array.from({ length: 20 }, (_, i) => failure(log.append(p(0), newRecord(`k${i}`, `${60 + i}`))));
      await log.close();
      const codes = await Promise.all([...work, ...late]);
      const found = new Set((await readAll(await stage.open(topic), patience())).values(0));
      for (const [i, code] of codes.entries()) {
        expect([undefined, 'closed', 'unknown-outcome']).toContain(code);
        if (code === undefined) expect(found.has(`${i}`)).toBe(true);
        // A record that was on its way may come to be; one that is answered with `closed` was not.
        if (code === 'closed') expect(found.has(`${i}`)).toBe(false);
      }
    });

    test('a reopened log is the same log, with what was acknowledged, and goes on', async () => {
      const topic = await stage.topic();
      const log = await stage.open(topic);
      await Promise.all(Array.from({ length: 30 }, (_, i) => log.append(p(i % 3), newRecord(`k${i}`, `${i}`))));
      await log.close();
      const reopened = await stage.open(topic);
      expect(reopened.identity).toEqual(log.identity);
      expect((await reopened.bounds()).map(({ next }) => next)).toEqual([10, 10, 10]);
      expect(await reopened.append(p(0), newRecord('k', 'more'))).toEqual({ partition: 0, offset: 10 });
      const read = await readAll(reopened, patience());
      expect(read.values(0)).toEqual(['0', '3', '6', '9', '12', '15', '18', '21', '24', '27', 'more']);
      const times = read.records(0).map((record) => record.time);
      expect(times).toEqual([...times].sort((a, b) => a - b));
    });

    test('while nothing can be sent, appends and bounds fail clean; then deliveries go on', async (context) => {
      const topic = await stage.topic();
      if (topic.disconnect === undefined || topic.reconnect === undefined) return context.skip('this log has no wire to cut');
      const log = await stage.open(topic);
      await log.append(p(0), newRecord('k', 'before'));
      const { collector, subscription } = await collect(log, fromStart(log));
      await collector.until(() => collector.next(0) === 1, 'the first', patience());
      await topic.disconnect();
      expect(log.state).toBe('disconnected');
      expect(await failure(log.append(p(0), newRecord('k', 'during')))).toBe('log-unavailable');
      expect(await failure(log.bounds())).toBe('log-unavailable');
      await topic.reconnect();
      await expect.poll(() => log.state, { timeout: patience() }).toBe('connected');
      await log.append(p(0), newRecord('k', 'after'));
      await collector.until(() => collector.next(0) === 2, 'the second', patience());
      expect(collector.values(0)).toEqual(['before', 'after']);
      expect(collector.violations).toEqual([]);
      await subscription.close();
    });
  });
}
