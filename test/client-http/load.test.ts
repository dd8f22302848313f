/** Nodes that go away under load: nothing is written twice, nothing acknowledged is missing, and no read fails. */
import { describe, expect, test } from 'vitest';
import type { ClientError } from '../../client/http/index.ts';
import { client, later, node } from './setting.ts';

async function load(end: (running: Awaited<ReturnType<typeof node>>) => Promise<void>) {
  const one = await node(undefined, { keepAliveTimeoutMs: 60 });
  const two = await node(one.keyValue, { keepAliveTimeoutMs: 60 });
  const kv = client([one.port, two.port], { timeoutMs: 10_000, attempts: 100 });
  const outcomes = new Map<string, string>();
  const failedReads: unknown[] = [];
  let going = true;
  const worker = async (name: number): Promise<void> => {
    for (let number = 0; going; number++) {
      const key = `w${name}/${number}`;
      outcomes.set(
        key,
        await kv.put(key, 'v').then(
          () => 'written',
          (error: ClientError) => error.code,
        ),
      );
      await kv.get(key).then(undefined, (error) => failedReads.push(error));
      // Long enough at times for the node to end the connection.
      if (number % 10 === 0) await later(55 + (number % 3) * 5);
    }
  };
  const workers = Array.from({ length: 16 }, (_, name) => worker(name));
  while (outcomes.size < 150) await later(10);
  await end(one);
  while (outcomes.size < 300) await later(10);
  going = false;
  await Promise.all(workers);
  const written = new Map<string, number>();
  for (const key of one.keyValue.written) written.set(key, (written.get(key) ?? 0) + 1);
  return { outcomes, written, failedReads };
}

describe.each([
  ['is cut off', (running: Awaited<ReturnType<typeof node>>) => running.stop()],
  ['is drained', (running: Awaited<ReturnType<typeof node>>) => running.server.drain()],
])('a node %s', (_, end) => {
  test('under load', async () => {
    const { outcomes, written, failedReads } = await load(end);
    expect(outcomes.size).toBeGreaterThanOrEqual(300);
    expect([...written].filter(([, times]) => times > 1)).toEqual([]);
    for (const [key, outcome] of outcomes) {
      expect(['written', 'unknown-outcome']).toContain(outcome);
      if (outcome === 'written') expect(written.get(key)).toBe(1);
    }
    expect(failedReads).toEqual([]);
    expect([...outcomes.values()].filter((outcome) => outcome !== 'written').length).toBeLessThan(outcomes.size / 10);
  });
});

describe('an abort at any moment', () => {
  test('says aborted only of what was not written', async () => {
    const { port, keyValue } = await node();
    const kv = client([port], { maxSockets: 4 });
    const aborted: string[] = [];
    let unknown = 0;
    for (let round = 0; round < 40; round++) {
      const controller = new AbortController();
      const calls = Array.from({ length: 10 }, async (_, number) => {
        const key = `${round}/${number}`;
        const failure = await kv.put(key, 'v', { signal: controller.signal }).then(
          () => undefined,
          (error: ClientError) => error.code,
        );
        if (failure === 'aborted') aborted.push(key);
        else if (failure !== undefined) unknown++;
      });
      if (round % 4 > 0) await later(round % 4);
      else await new Promise((resolve) => setImmediate(resolve));
      controller.abort();
      await Promise.all(calls);
    }
    await later(100);
    expect(aborted.filter((key) => keyValue.written.includes(key))).toEqual([]);
    expect(aborted.length).toBeGreaterThan(0);
    expect(unknown).toBeGreaterThan(0);
  });
});
