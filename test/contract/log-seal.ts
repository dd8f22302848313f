/** The log's contract: sealed, it takes nothing from anybody, and opened again it is as it was. */
import { describe, expect, test } from 'vitest';
import type { Log, SealOptions } from '../../src/ports.ts';
import type { Stage } from './log.ts';
import { failure, newRecord, p, readAll } from './log-harness.ts';

/** What a sealing was given to keep. */
interface Kept {
  readonly memos: string[];
  readonly options: SealOptions;
}

function keeping(before: () => Promise<unknown> = async () => undefined): Kept {
  const memos: string[] = [];
  const keep = async (memo: string): Promise<void> => {
    await before();
    memos.push(memo);
  };
  return { memos, options: { keep, probe: () => newRecord('\0probe', 'probe') } };
}

const nexts = async (log: Log): Promise<number[]> => (await log.bounds()).map(({ next }) => next);

export function sealContract(stage: Stage): void {
  const patience = () => stage.harness.timeoutMs;

  describe('seal', () => {
    test('a sealed log refuses every record, tells its final ends, and is read as before', async () => {
      const log = await stage.log();
      expect(log.sealed).toBe(false);
      await log.append(p(1), newRecord('k', 'before'));
      const ends = await log.seal(keeping().options);
      expect(log.sealed).toBe(true);
      expect(await failure(log.append(p(1), newRecord('k', 'after')))).toBe('log-sealed');
      expect(await failure(log.append(p(2), newRecord('k', null)))).toBe('log-sealed');
      expect(await failure(log.appendTogether(p(0), [newRecord('a', 'x'), newRecord('b', 'y')]))).toBe('log-sealed');
      expect(await nexts(log)).toEqual(ends);
      const read = await readAll(log, patience());
      expect(read.values(1).filter((value) => value !== 'probe')).toEqual(['before']);
    });

    test('what has to be kept is kept before, and may be written to the log itself', async () => {
      const log = await stage.log();
      const kept = keeping(() => log.append(p(0), newRecord('kept', 'memo')));
      await log.seal(kept.options);
      expect(kept.memos).toHaveLength(1);
      expect((await readAll(log, patience())).values(0)[0]).toBe('memo');
      const again = keeping();
      expect(await log.seal(again.options)).toEqual(await nexts(log));
      expect(again.memos).toEqual([]);
    });

    test('when it cannot be kept, nothing is done', async () => {
      const log = await stage.log();
      const keep = () => Promise.reject(new Error('no room'));
      await expect(log.seal({ ...keeping().options, keep })).rejects.toThrow('no room');
      expect(log.sealed).toBe(false);
      expect(await failure(log.append(p(0), newRecord('k', 'v')))).toBeUndefined();
    });

    test('opened again it takes writes, and everything else is as before', async () => {
      const log = await stage.log();
      const { memos, options } = keeping();
      await log.seal(options);
      await log.unseal(memos[0]);
      await expect.poll(() => log.sealed, { timeout: patience() }).toBe(false);
      expect(await failure(log.append(p(0), newRecord('k', 'after')))).toBeUndefined();
      await log.unseal(undefined);
      expect(await failure(log.append(p(0), newRecord('k', 'and again')))).toBeUndefined();
      expect((await readAll(log, patience())).values(0).filter((value) => value !== 'probe')).toEqual(['after', 'and again']);
    });

    test('it stays sealed when it is opened anew', async () => {
      const topic = await stage.topic();
      const log = await stage.open(topic);
      await log.append(p(0), newRecord('k', 'v'));
      const { memos, options } = keeping();
      const ends = await log.seal(options);
      await log.close();
      const reopened = await stage.open(topic);
      expect(reopened.sealed).toBe(true);
      expect(reopened.identity).toEqual(log.identity);
      expect(await failure(reopened.append(p(0), newRecord('k', 'w')))).toBe('log-sealed');
      expect(await nexts(reopened)).toEqual(ends);
      await reopened.unseal(memos[0]);
      await reopened.close();
      const open = await stage.open(topic);
      expect(open.sealed).toBe(false);
      expect(await failure(open.append(p(0), newRecord('k', 'w')))).toBeUndefined();
    });

    test('what is on its way meanwhile is in the log before the ends, or not at all, and everyone hears the truth', async () => {
      const topic = await stage.topic();
      const log = await stage.open(topic);
      const outcomes = new Map<string, Promise<string | undefined>>();
      let going = true;
      const writing = (async () => {
        for (let i = 0; going; i++) {
          for (const partition of [0, 1, 2]) {
            outcomes.set(`${partition}-${i}`, failure(log.append(p(partition), newRecord(`k${i}`, `${partition}-${i}`))));
          }
          await Promise.race([outcomes.get(`0-${i}`), outcomes.get(`1-${i}`)]);
          await new Promise(setImmediate);
        }
      })();
      await expect.poll(() => outcomes.size, { timeout: patience() }).toBeGreaterThan(100);
      const ends = await log.seal(keeping().options);
      const before = outcomes.size;
      await expect.poll(() => outcomes.size, { timeout: patience() }).toBeGreaterThan(before + 100);
      going = false;
      await writing;
      const read = await readAll(log, patience());
      const found = new Set([0, 1, 2].flatMap((partition) => read.values(partition)));
      const codes = new Map<string | undefined, number>();
      for (const [value, outcome] of outcomes) {
        const code = await outcome;
        codes.set(code, (codes.get(code) ?? 0) + 1);
        if (code === undefined) expect(found, value).toContain(value);
        if (code === 'log-sealed') expect(found, value).not.toContain(value);
      }
      expect([...codes.keys()].filter((code) => ![undefined, 'log-sealed', 'unknown-outcome', 'overloaded'].includes(code))).toEqual([]);
      expect(codes.get('log-sealed')).toBeGreaterThanOrEqual(100);
      expect(await nexts(log)).toEqual(ends);
    });

    test('another that writes to it is refused at once, and learns that it is open again', async (context) => {
      const topic = await stage.topic();
      const log = await stage.open(topic);
      if (log.identity.kind === 'embedded') return context.skip('only one process writes to it');
      const other = await stage.open(topic);
      await other.append(p(0), newRecord('k', 'before'));
      const { memos, options } = keeping();
      const ends = await log.seal(options);
      expect(await failure(other.append(p(0), newRecord('k', 'after')))).toBe('log-sealed');
      expect(other.sealed).toBe(true);
      expect(await nexts(other)).toEqual(ends);
      expect(await other.seal(keeping().options)).toEqual(ends);
      await log.unseal(memos[0]);
      await expect.poll(() => other.sealed, { timeout: patience() }).toBe(false);
      expect(await failure(other.append(p(0), newRecord('k', 'again')))).toBeUndefined();
    });

    test('a closed log is neither sealed nor opened again', async () => {
      const log = await stage.log();
      await log.close();
      expect(await failure(log.seal(keeping().options))).toBe('closed');
      expect(await failure(log.unseal(undefined))).toBe('closed');
    });
  });
}
