/** Watches as newline-delimited JSON and by long poll. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fits } from '../../../../rpc/http/v1/schema.ts';
import { WatchLine } from '../../../../rpc/http/v1/watch-shapes.ts';
import { createMemoryKeyValue } from '../../memory-key-value.ts';
import type { Running } from '../start-server.ts';
import { ask, startV1 } from './start-v1.ts';
import { leaveAll, openStream } from './watch-client.ts';

let running: Running;
beforeEach(async () => {
  running = await startV1({}, 5_000, createMemoryKeyValue(3));
});
afterEach(async () => {
  leaveAll();
  await running.stop();
});

type Line = Record<string, unknown>;
const put = (key: string, value: string) => running.keyValue.put(key, Buffer.from(value));
const short = ({ event, key, value }: Line): string => (key === undefined ? String(event) : `${event} ${key}=${value ?? ''}`);

describe('NDJSON', () => {
  test.each(['application/x-ndjson', 'text/event-stream;q=0.5, application/x-ndjson'])('for Accept: %s', async (accept) => {
    await put('a', '1');
    const stream = await openStream(running.port, '/v1/watch?prefix=&initial=1', { accept });
    const lines = () =>
      stream
        .text()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Line);
    await expect.poll(() => lines().length).toBe(3);
    const written = await put('a', '2');
    await running.keyValue.delete('a');
    await expect.poll(() => lines().length).toBe(5);
    expect(stream.headers['content-type']).toBe('application/x-ndjson');
    expect(lines().map(short)).toEqual(['heartbeat', 'put a=1', 'sync', 'put a=2', 'delete a=']);
    const { partition } = written.position;
    expect(lines().map(({ position }) => position)).toEqual([
      'reset',
      undefined,
      `${partition}:0@8f14e45f`,
      `${partition}:1@8f14e45f`,
      `${partition}:2@8f14e45f`,
    ]);
    for (const line of lines()) expect(fits(WatchLine, line), JSON.stringify(line)).toBe(true);
    expect(Object.keys(lines()[3] as Line)).toEqual([
      'event',
      'position',
      'key',
      'value',
      'version',
      'updated',
      'expires',
      'content_type',
      'id',
    ]);
    expect(running.watches).toContain('opened ndjson');
  });
});

describe('a long poll', () => {
  interface Body {
    readonly events: Line[];
    readonly position: string;
  }
  const poll = async (query: string): Promise<Body> => {
    const reply = await ask(running.port, `/v1/watch?${query}`);
    expect(reply.status).toBe(200);
    expect(reply.headers['cache-control']).toBe('no-store');
    return reply.json() as unknown as Body;
  };

  test('answers with the first change', async () => {
    const answer = poll('prefix=a&wait=30s');
    await expect.poll(() => running.keyValue.watches.open).toBe(1);
    await put('b', '0');
    await put('a', '1');
    const { events, position } = await answer;
    expect(events.map(short)).toEqual(['put a=1']);
    expect(events[0]).not.toHaveProperty('position');
    expect((await poll(`prefix=a&wait=0&from=${position}`)).events).toEqual([]);
    await expect.poll(() => running.keyValue.watches.open).toBe(0);
  });

  test('answers with nothing at the end of the wait, and with where to go on', async () => {
    await put('a', '0');
    const began = performance.now();
    const first = await poll('prefix=&wait=150ms');
    expect(performance.now() - began).toBeGreaterThan(145);
    expect(first.events).toEqual([]);
    await put('a', '1');
    await put('a', '2');
    const next = await poll(`prefix=&wait=30s&from=${first.position}`);
    expect(next.events.map(short)).toEqual(['put a=1', 'put a=2']);
    // Nobody polls with a place that is forgotten: an empty answer moves on too.
    await put('other', '1');
    const moved = await poll(`key=a&wait=0s&from=${next.position}`);
    expect(moved.events).toEqual([]);
    expect(moved.position).not.toBe(next.position);
  });

  test('one after another, they tell every change once', async () => {
    // A log without a record has no position: its first poll would begin with a reset.
    await put('first', '');
    let { position } = await poll('prefix=&wait=0');
    const told: string[] = [];
    let stopped = false;
    const polling = (async () => {
      while (!stopped || told.length < 200) {
        const answer = await poll(`prefix=&wait=2s&from=${position}`);
        position = answer.position;
        told.push(...answer.events.map(short));
      }
    })();
    for (let i = 0; i < 200; i++) {
      await put(`k${i % 7}`, String(i));
      if (i % 9 === 0) await new Promise((resolve) => setTimeout(resolve, 3));
    }
    stopped = true;
    await polling;
    for (let key = 0; key < 7; key++) {
      const own = told.filter((each) => each.startsWith(`put k${key}=`));
      expect(own).toEqual(Array.from({ length: 200 }, (_, i) => i).flatMap((i) => (i % 7 === key ? [`put k${key}=${i}`] : [])));
    }
  });

  test('with the state first, which may be empty', async () => {
    expect(await poll('prefix=&initial=1&wait=30s')).toEqual({ events: [], position: 'reset' });
    await put('a', '1');
    const { events, position } = await poll('prefix=&initial=1&wait=30s');
    expect(events.map(short)).toEqual(['put a=1']);
    expect(position).toMatch(/^\d:0@8f14e45f$/);
    // Told to its end, though the wait is over.
    running.keyValue.watches.stateGate = () => new Promise((resolve) => setTimeout(resolve, 60));
    expect((await poll('prefix=&initial=1&wait=1ms')).events).toHaveLength(1);
  });

  test('tells a reset and the state, or that the state is too large for an answer', async () => {
    await put('a', '1');
    const { events, position } = await poll('prefix=&from=0:1@00000000&wait=30s');
    expect(events.map(short)).toEqual(['reset', 'put a=1']);
    expect(position).toMatch(/@8f14e45f$/);
    for (let i = 0; i < 90; i++) await put(`k${i}`, 'x'.repeat(100_000));
    for (const query of ['from=reset', 'initial=1']) {
      expect(await poll(`prefix=&wait=30s&${query}`)).toEqual({ events: [{ event: 'reset' }], position: 'reset' });
    }
  });

  test('whose client goes away frees its watch', async () => {
    const polled = openStream(running.port, '/v1/watch?prefix=&wait=30s');
    polled.catch(() => undefined);
    await expect.poll(() => running.keyValue.watches.open).toBe(1);
    await running.stop();
    await expect.poll(() => running.keyValue.watches.open).toBe(0);
  });
});
