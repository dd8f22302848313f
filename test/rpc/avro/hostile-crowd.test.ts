/** Two thousand malformed connections of many kinds, while another client works: all its calls succeed, and memory stays. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeRequest, text } from '../../../wire/avro/codec.ts';
import { bytesOf, call, changed, frame, handshake, original } from './payloads.ts';
import { RawClient } from './raw-client.ts';
import { type Running, startServer } from './start-server.ts';

let running: Running;
beforeEach(async () => {
  running = await startServer({ frameTimeoutMs: 300, takeTimeoutMs: 1_000 });
  await running.keyValue.put('a', Buffer.from('1'));
});
afterEach(() => running.stop());

/** The same numbers in every run: a failure can be looked at again. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % below;
  };
}

const put = { key: 'k', value: Buffer.from('v'), contentType: '', ttl: 0 };
const hello = handshake();
const good = Buffer.concat([
  frame(1, hello, call('getValue', encodeRequest('getValue', { key: 'a' }))),
  frame(2, call('setMany', encodeRequest('setMany', { puts: [put, put] }))),
  frame(3, call('getMany', encodeRequest('getMany', { keys: ['a', 'b'], seen: { genesis: 'g', positions: [] } }))),
]);
const deep = changed(({ types, messages }) => {
  types.push({ type: 'record', name: 'Deep', fields: [{ name: 'deep', type: ['null', 'Deep'] }] });
  messages['getValue']?.request.unshift({ name: 'first', type: 'Deep' });
});

type Kind = (random: (below: number) => number) => Buffer;
const noise = (random: (below: number) => number, length: number) => Buffer.from(Array.from({ length }, () => random(256)));

const kinds: Readonly<Record<string, Kind>> = {
  noise: (random) => noise(random, 1 + random(3_000)),
  'noise in a frame': (random) => frame(random(99), noise(random, random(500))),
  'noise behind a handshake': (random) => frame(1, hello, noise(random, 1 + random(200))),
  'noise as a later frame': (random) => Buffer.concat([frame(1, hello), frame(2, noise(random, random(200)))]),
  'flipped bits': (random) => {
    const bytes = Buffer.from(good);
    for (let count = 1 + random(6); count > 0; count--) {
      const at = random(bytes.length);
      bytes[at] = (bytes[at] as number) ^ (1 << random(8));
    }
    return bytes;
  },
  'cut off': (random) => good.subarray(0, 1 + random(good.length - 1)),
  'many buffers': (random) => frame(1, ...Array.from({ length: 201 + random(500) }, () => Buffer.alloc(1))),
  'a large number of buffers': (random) => Buffer.concat([Buffer.alloc(4), noise(random, 4), noise(random, 100)]),
  'a large buffer': (random) => Buffer.concat([Buffer.from('0000000100000001', 'hex'), Buffer.of(1 + random(254)), noise(random, 100)]),
  'a large count': () => frame(1, hello, call('getMany'), Buffer.from('fefefefefefefefefe01', 'hex'), Buffer.alloc(100, 2)),
  'a large text': () => frame(1, Buffer.alloc(16), Buffer.from('02fefefefe0f', 'hex'), Buffer.alloc(1_000)),
  'a protocol of noise': (random) => frame(1, Buffer.alloc(16), bytesOf(text.encode(noise(random, 100).toString('latin1')))),
  'a deep text': (random) =>
    frame(1, Buffer.alloc(16), Buffer.of(2), bytesOf(text.encode('['.repeat(1 + random(20_000)))), Buffer.alloc(17)),
  'a deep value': () => frame(1, handshake({ protocol: deep, withText: true }), call('getValue'), Buffer.alloc(10_000, 2)),
  'a protocol cut off': (random) => frame(1, handshake({ protocol: original, withText: true }).subarray(0, 20 + random(300))),
  HTTP: () => Buffer.from('POST /rpc?key=a&value=b HTTP/1.1\r\nHost: n1\r\nContent-Length: 0\r\n\r\n'),
};

test('everybody else is served', { timeout: 120_000 }, async () => {
  const random = numbers(20_150_401);
  const names = Object.keys(kinds);
  let attacking = true;
  let calls = 0;
  const worker = async (name: number): Promise<void> => {
    const client = await RawClient.open(running.port);
    for (let turn = 0; attacking || turn < 10; turn++) {
      const key = `good-${name}-${turn}`;
      expect(await client.call('setValue', { key, value: key })).toEqual({ value: null });
      expect(await client.call('getValue', { key })).toEqual({ value: key });
      client.received.length = 0;
      calls += 2;
    }
    await client.close();
  };
  const workers = [1, 2, 3, 4].map(worker);
  const attack = async (kind: Kind): Promise<void> => {
    const client = await RawClient.connect(running.port);
    client.write(kind(random));
    // Some are cut for what they sent, some for what they do not send any more; those that were lucky leave by themselves.
    if (random(2) === 0) client.socket.end();
    else setTimeout(() => client.socket.destroy(), 600).unref();
    await client.closed;
  };
  const count = 2_000;
  let next = 0;
  const attacker = async (): Promise<void> => {
    while (next < count) await attack(kinds[names[next++ % names.length] as string] as Kind);
  };
  const before = process.memoryUsage().rss;
  await Promise.all(Array.from({ length: 40 }, attacker));
  attacking = false;
  await Promise.all(workers);
  await expect.poll(() => running.server.connections).toBe(0);
  expect(calls).toBeGreaterThan(100);
  expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 * 1024);
  // One line each at most, and none about our own mistakes.
  const lines = running.cuts().length;
  expect(lines).toBeLessThanOrEqual(count);
  expect(lines).toBeGreaterThan(count / 2);
  expect(running.lines.filter(({ level }) => level === 'error')).toEqual([]);
  expect(running.observed.filter(({ outcome }) => outcome === 'internal')).toEqual([]);
});
