/** Watches as server-sent events: what is told, where it can be resumed, and how it ends. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { askMember } from '../../../../rpc/http/v1/ask-member.ts';
import { BitacoraError } from '../../../../src/core/errors.ts';
import { createMemoryKeyValue } from '../../memory-key-value.ts';
import { type Running, raw } from '../start-server.ts';
import { ask, genesis, startV1 } from './start-v1.ts';
import { leaveAll, openStream, type Stream, type Told } from './watch-client.ts';

const partitions = 3;
let running: Running;
const start = async (...options: Parameters<typeof startV1>) => {
  await (running as Running | undefined)?.stop();
  running = await startV1(...options);
  return running;
};
beforeEach(() => start({}, 5_000, createMemoryKeyValue(partitions)));
afterEach(async () => {
  leaveAll();
  await running.stop();
});

const put = (key: string, value: string | Uint8Array) => running.keyValue.put(key, Buffer.from(value as string));
const watch = (query: string, headers = {}): Promise<Stream> => openStream(running.port, `/v1/watch?${query}`, headers);
const short = ({ event, data }: Told): string => (data['key'] === undefined ? event : `${event} ${data['key']}=${data['value'] ?? ''}`);
const told = (stream: Stream): string[] => stream.events().map(short);

describe('server-sent events', () => {
  test('byte for byte', async () => {
    await start();
    const stream = await watch('prefix=');
    await stream.many(1);
    const { id, position } = await put('a', 'x\n"ü"');
    const removed = await running.keyValue.delete('a');
    await stream.many(3);
    const time = (each: number) => (stream.events()[each] as Told).data['updated'];
    expect(position.offset).toBe(0);
    expect(removed.position.offset).toBe(1);
    expect(stream.text()).toBe(
      `: bitacora\nretry: 1000\n\n` +
        `event: sync\nid: reset\ndata: {"position":"reset"}\n\n` +
        `event: put\nid: 0:0@8f14e45f\ndata: {"key":"a","value":"x\\n\\"ü\\"","version":"0:0","updated":"${time(1)}","expires":null,"content_type":null,"id":"${id}"}\n\n` +
        `event: delete\nid: 0:1@8f14e45f\ndata: {"key":"a","version":"0:1","updated":"${time(2)}"}\n\n`,
    );
    expect(stream.status).toBe(200);
    expect(stream.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'bitacora-node': 'n1',
      'transfer-encoding': 'chunked',
    });
    expect(stream.headers).not.toHaveProperty('content-encoding');
  });

  test('of a prefix, or of one key, and of nothing else', async () => {
    const [prefix, key] = [await watch('prefix=a/'), await watch('key=a/b')];
    await Promise.all([prefix.many(1), key.many(1)]);
    for (const each of ['a', 'a/', 'a/b', 'a/b/c', 'b', 'A/b']) await put(each, '1');
    await prefix.many(4);
    expect(told(prefix)).toEqual(['sync', 'put a/=1', 'put a/b=1', 'put a/b/c=1']);
    expect(told(key)).toEqual(['sync', 'put a/b=1']);
  });

  test('bytes that are no text come in base64, odd keys as they are', async () => {
    const stream = await watch('prefix=');
    await stream.many(1);
    const key = 'a\nid: 9:9\n\ndata: "\u2028🦉';
    await put(key, Uint8Array.of(0xff, 0x00));
    const [, event] = await stream.many(2);
    expect(event?.data).toMatchObject({ key, value_b64: '/wA=' });
    expect(event?.data).not.toHaveProperty('value');
    const one = await watch(`key=${encodeURIComponent(key)}&initial=1`);
    expect((await one.many(1))[0]?.data).toMatchObject({ key, value_b64: '/wA=' });
  });

  test('the first bytes come at once, and a comment when nothing happens', async () => {
    await start({}, 5_000, createMemoryKeyValue(), { members: () => [], askMember, heartbeatMs: 60 });
    const gate = new Promise<void>(() => undefined);
    await put('a', '1');
    running.keyValue.watches.stateGate = () => gate;
    const stream = await watch('prefix=&initial=1');
    await expect.poll(stream.text).toBe(': bitacora\nretry: 1000\nid: reset\n\n: heartbeat\n\n: heartbeat\n\n');
  });

  test('HEAD has the headers, and opens nothing', async () => {
    const reply = await ask(running.port, '/v1/watch?prefix=', { method: 'HEAD' });
    expect(reply.status).toBe(200);
    expect(reply.headers).toMatchObject({ 'content-type': 'text/event-stream', 'x-accel-buffering': 'no', 'cache-control': 'no-store' });
    expect(running.keyValue.watches.asked).toEqual([]);
  });
});

describe('an id', () => {
  test('stands for all that has been told, in every partition', async () => {
    for (let i = 0; i < 9; i++) await put(`k${i}`, '0');
    const stream = await watch('prefix=');
    const [sync] = await stream.many(1);
    expect(sync?.id).toBe(sync?.data['position']);
    expect(sync?.id).toMatch(/^0:\d+,1:\d+,2:\d+@8f14e45f$/);
    const offsets = running.keyValue.status.applied.map((offset) => offset - 1);
    for (let i = 0; i < 9; i++) {
      const { position } = await put(`k${i}`, '1');
      offsets[position.partition] = position.offset as never;
      const events = await stream.many(i + 2);
      expect(events.at(-1)?.id).toBe(`${offsets.map((offset, partition) => `${partition}:${offset}`).join(',')}@8f14e45f`);
    }
  });

  test('resumes without gap or duplicate, wherever the stream was cut', async () => {
    await put('before', '1');
    const whole = await watch('prefix=');
    await whole.many(1);
    for (let i = 0; i < 40; i++) await (i % 7 === 6 ? running.keyValue.delete(`k${i % 5}`) : put(`k${i % 5}`, String(i)));
    const all = (await whole.many(41)).slice(1);
    const versions = (events: readonly Told[]) =>
      events.flatMap(({ data }) => (data['version'] === undefined ? [] : [data['version']])).sort();
    for (const [at, { id }] of [...all.entries()].filter(([at]) => at % 5 === 0)) {
      // The header goes before the parameter, as a browser keeps the address with which it began.
      const stream = await watch(`prefix=&from=${whole.events()[0]?.id}`, { 'Last-Event-ID': id as string });
      const rest = (await stream.many(all.length - at)).filter(({ event }) => event !== 'sync');
      expect(versions(rest)).toEqual(versions(all.slice(at + 1)));
      expect(told(stream)).not.toContain('reset');
      stream.leave();
    }
  });

  test('of another node, or a Bitacora-Position, will do as well', async () => {
    for (let i = 0; i < 9; i++) await put(`k${i}`, '0');
    const listed = await ask(running.port, '/v1/kv?prefix=');
    const position = listed.headers['bitacora-position'] as string;
    await put('k1', '1');
    const stream = await watch(`prefix=&from=${position}`);
    await stream.many(2);
    expect(told(stream)).toEqual(['put k1=1', 'sync']);
    // Of one key, the token of a read of it: the other partitions are not its business.
    const read = await ask(running.port, '/v1/kv/k2');
    expect(read.headers['bitacora-position']).toMatch(/^\d:\d+@/);
    await put('k2', '2');
    running.keyValue.watches.forget();
    await put('k2', '3');
    const one = await watch(`key=k1&from=${(await ask(running.port, '/v1/kv/k1')).headers['bitacora-position']}`);
    await one.many(1);
    expect(told(one)).toEqual(['sync']);
  });

  test('covers partitions in which there was nothing yet', async () => {
    const { position } = await put('a', '1');
    const stream = await watch('prefix=');
    const [sync] = await stream.many(1);
    expect(sync?.id).toBe(`${position.partition}:0@8f14e45f`);
    stream.leave();
    for (let i = 0; i < 9; i++) await put(`k${i}`, '1');
    const resumed = await watch('prefix=', { 'Last-Event-ID': sync?.id as string });
    await resumed.many(10);
    expect(told(resumed).sort()).toEqual([...Array.from({ length: 9 }, (_, i) => `put k${i}=1`), 'sync']);
  });

  test('names the log as soon as there is one', async () => {
    running.keyValue.statusChange = { genesis: undefined };
    const stream = await watch('prefix=');
    await stream.many(1);
    running.keyValue.statusChange = { genesis };
    await put('a', '1');
    expect((await stream.many(2)).map(({ id }) => id)).toEqual(['reset', expect.stringMatching(/^\d:0@8f14e45f$/)]);
  });

  test('in the middle of a state is "reset", which leads to the whole state again', async () => {
    for (const key of ['a', 'b', 'c']) await put(key, '1');
    const release: (() => void)[] = [];
    running.keyValue.watches.stateGate = () => new Promise((resolve) => void release.push(resolve));
    const stream = await watch('prefix=&initial=1');
    expect(await ids(stream, 0)).toEqual([]);
    expect(stream.lastId()).toBe('reset');
    for (let told = 1; told <= 2; told++) {
      await expect.poll(() => release.length).toBe(told);
      release[told - 1]?.();
      expect(await ids(stream, told)).toEqual(Array(told).fill(undefined));
      expect(stream.lastId()).toBe('reset');
    }
    stream.leave();
    await running.keyValue.delete('a');
    running.keyValue.watches.stateGate = undefined;
    const resumed = await watch('prefix=&initial=1', { 'Last-Event-ID': 'reset' });
    await resumed.many(4);
    expect(told(resumed)).toEqual(['reset', 'put b=1', 'put c=1', 'sync']);
    expect((await resumed.many(4)).map(({ id }) => id)).toEqual(['reset', undefined, undefined, expect.stringMatching(/@8f14e45f$/)]);
  });

  test('stops at a reset in the middle of a stream, and comes again with sync', async () => {
    for (const key of ['a', 'b', 'c']) await put(key, '1');
    const stream = await watch('prefix=');
    await stream.many(1);
    await put('a', '2');
    await stream.many(2);
    running.keyValue.watches.loseAll();
    await stream.many(7);
    await put('b', '2');
    const events = await stream.many(8);
    expect(told(stream)).toEqual(['sync', 'put a=2', 'reset', 'put a=2', 'put b=1', 'put c=1', 'sync', 'put b=2']);
    const [log, none] = ['@8f14e45f', undefined];
    expect(events.map(({ id }) => id?.replace(/.*@/, '@'))).toEqual([log, log, 'reset', none, none, none, log, log]);
  });

  test('of what is not known any more, or of another log, leads to reset and the state', async () => {
    await put('a', '1');
    const old = (await ask(running.port, '/v1/kv?prefix=')).headers['bitacora-position'] as string;
    await put('a', '2');
    await put('a', '3');
    running.keyValue.watches.forget();
    for (const id of [old, old.replace('8f14e45f', '00000000'), '0:1,7:1', '7:1@8f14e45f', 'reset']) {
      const stream = await watch('prefix=', { 'Last-Event-ID': id });
      await stream.many(3);
      expect(told(stream), id).toEqual(['reset', 'put a=3', 'sync']);
      stream.leave();
    }
  });

  async function ids(stream: Stream, count: number) {
    return (await stream.many(count)).map(({ id }) => id);
  }
});

describe('the state first', () => {
  test('and then what changes', async () => {
    for (const key of ['c', 'a', 'b/x']) await put(key, '1');
    const stream = await watch('prefix=&initial=true');
    await stream.many(4);
    await put('c', '2');
    await stream.many(5);
    expect(told(stream)).toEqual(['put a=1', 'put b/x=1', 'put c=1', 'sync', 'put c=2']);
  });

  test('is not told to who says where to go on', async () => {
    await put('a', '1');
    const from = (await ask(running.port, '/v1/kv?prefix=')).headers['bitacora-position'];
    const stream = await watch(`prefix=&initial=1&from=${from}`);
    await stream.many(1);
    expect(told(stream)).toEqual(['sync']);
  });
});

test.each([
  [''],
  ['key=a&prefix=a'],
  ['key='],
  ['prefix=&from=x'],
  ['prefix=&from=0:1,'],
  ['prefix=&initial=yes'],
  ['prefix=&wait=x'],
  ['prefix=&wait=-1s'],
  ['prefix=&wait='],
  ['prefix=a&prefix=b'],
  ['prefix=&match=x'],
  ['key=%ff'],
])('%s: 400', async (query) => {
  const reply = await ask(running.port, `/v1/watch?${query}`);
  expect(reply.status).toBe(400);
  expect(reply.json()['code']).toBe('bad-request');
  expect(running.keyValue.watches.open).toBe(0);
});

test('a wrong Last-Event-ID and keys that cannot be: 400', async () => {
  expect((await ask(running.port, '/v1/watch?prefix=', { headers: { 'Last-Event-ID': '1;2' } })).json()['code']).toBe('bad-request');
  for (const query of ['prefix=%00', 'key=%00genesis', 'key=%20', `key=${'k'.repeat(1_025)}`]) {
    expect((await ask(running.port, `/v1/watch?${query}`)).json()['code'], query).toBe('key-invalid');
  }
});

test('a node that cannot tell says so before anything else, and what helps', async () => {
  running.keyValue.failure = new BitacoraError('overloaded', '10000 watches are open');
  for (const query of ['prefix=', 'prefix=&wait=1s']) {
    const reply = await ask(running.port, `/v1/watch?${query}`);
    expect(reply.status).toBe(503);
    expect(reply.json()['code']).toBe('overloaded');
    expect(reply.headers['retry-after']).toBe('1');
  }
  running.keyValue.failure = undefined;
  for (const [state, code] of [
    ['restoring', 'position-not-reached'],
    ['draining', 'draining'],
  ] as const) {
    running.keyValue.statusChange = { genesis, ready: false, state };
    expect((await ask(running.port, '/v1/watch?prefix=')).json()['code']).toBe(code);
  }
});

describe('the end', () => {
  test('a client that leaves frees its watch, and is no failure', async () => {
    const streams = await Promise.all(Array.from({ length: 5 }, () => watch('prefix=')));
    await Promise.all(streams.map((stream) => stream.many(1)));
    expect(running.keyValue.watches.open).toBe(5);
    for (const stream of streams) stream.leave();
    await expect.poll(() => running.keyValue.watches.open).toBe(0);
    await expect.poll(() => running.observed).toEqual(Array(5).fill({ route: '/v1/watch', method: 'GET', status: 200 }));
    expect(running.watches.filter((each) => each === 'opened sse')).toHaveLength(5);
    await expect.poll(() => running.watches.filter((each) => each === 'closed sse')).toHaveLength(5);
    expect(running.watches.filter((each) => each === 'told sse')).toHaveLength(5);
  });

  test('a node that goes away ends its streams in order and at once, whatever they are doing', async () => {
    await put('a', '1');
    const idle = await watch('prefix=');
    const lined = await watch('prefix=', { accept: 'application/x-ndjson' });
    await idle.many(1);
    running.keyValue.watches.stateGate = () => new Promise(() => undefined);
    const telling = await watch('prefix=&initial=1');
    const polled = ask(running.port, '/v1/watch?prefix=&wait=30s');
    await expect.poll(() => running.keyValue.watches.open).toBe(4);
    const began = performance.now();
    const drained = running.server.drain();
    for (const stream of [idle, lined, telling]) await expect.poll(stream.ended, { timeout: 400 }).toBe(true);
    expect(idle.text()).toMatch(/\n\n: draining\n\n$/);
    expect(telling.lastId()).toBe('reset');
    expect((await polled).json()).toEqual({ events: [], position: idle.lastId() });
    await drained;
    expect(performance.now() - began).toBeLessThan(2_000);
    await expect.poll(() => running.keyValue.watches.open, { timeout: 500 }).toBeLessThanOrEqual(1);
  });

  test('a watcher that takes nothing is not read ahead for, and is cut off after the time of a request', async () => {
    await start({ requestTimeoutMs: 700, headersTimeoutMs: 500 });
    const { socket } = await raw(running.port, 'GET /v1/watch?prefix= HTTP/1.1\r\nHost: n1\r\n\r\n');
    const other = await watch('prefix=');
    await other.many(1);
    socket.pause();
    const value = 'x'.repeat(90_000);
    const began = performance.now();
    for (let i = 0; i < 250; i++) {
      await put(`k${i}`, value);
      if (i % 10 === 0) await other.many(i + 1);
    }
    // What the sockets of both sides hold, and no more: the rest waits in the service, or is lost there.
    await other.many(251);
    expect(running.keyValue.watches.taken - 251).toBeLessThan(120);
    await expect.poll(() => running.keyValue.watches.open, { timeout: 5_000 }).toBe(1);
    expect(performance.now() - began).toBeGreaterThan(650);
    expect(running.watches.filter((each) => each === 'cut sse')).toHaveLength(1);
    expect(running.logged.filter((line) => line.includes('watch.cut'))).toHaveLength(1);
    expect(other.ended()).toBeUndefined();
  });

  test('a watcher that takes nothing does not hold up a node that goes away', async () => {
    const { socket, received } = await raw(running.port, 'GET /v1/watch?prefix= HTTP/1.1\r\nHost: n1\r\n\r\n');
    await expect.poll(received).toMatch(/event: sync/);
    socket.pause();
    for (let i = 0; i < 90; i++) {
      await put(`k${i}`, 'x'.repeat(90_000));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const began = performance.now();
    await running.server.drain();
    expect(performance.now() - began).toBeLessThan(1_400);
    expect(running.keyValue.watches.open).toBe(0);
    socket.destroy();
  });

  test('a slow watcher is not cut off, and learns by a reset what it has missed', async () => {
    await start({ requestTimeoutMs: 400, headersTimeoutMs: 300 });
    const stream = await watch('prefix=');
    await stream.many(1);
    stream.response.pause();
    for (let i = 0; i < 300; i++) await put(`k${i % 20}`, `${i} ${'x'.repeat(90_000)}`);
    // It takes some, now and then, for longer than the time in which it may take nothing.
    for (let turn = 0; turn < 12; turn++) {
      stream.response.resume();
      await new Promise((resolve) => setTimeout(resolve, 5));
      stream.response.pause();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    stream.response.resume();
    await expect.poll(() => told(stream).at(-1), { timeout: 10_000 }).toBe('sync');
    const events = stream.events();
    const reset = events.findIndex(({ event }) => event === 'reset');
    expect(reset).toBeGreaterThan(0);
    const state = new Map(events.slice(reset + 1).map(({ data }) => [data['key'], data['version']]));
    for (let i = 0; i < 20; i++) expect(state.get(`k${i}`)).toBe(`0:${280 + i}`);
    expect(stream.ended()).toBeUndefined();
  });

  test('requests sent behind a stream are not begun: they could not be answered', async () => {
    const { socket, received } = await raw(running.port, 'GET /v1/watch?prefix= HTTP/1.1\r\nHost: n1\r\n\r\n');
    await expect.poll(received).toMatch(/event: sync/);
    expect(received()).toMatch(/\r\nConnection: close\r\n/);
    socket.write('PUT /v1/kv/late HTTP/1.1\r\nHost: n1\r\nContent-Length: 1\r\n\r\nx');
    await put('a', '1');
    await expect.poll(received).toMatch(/event: put/);
    expect(running.keyValue.written).toEqual(['a']);
    socket.destroy();
  });

  test('HTTP/1.0, as an older proxy speaks it, gets the stream without chunks', async () => {
    const { socket, received } = await raw(running.port, 'GET /v1/watch?prefix= HTTP/1.0\r\nHost: n1\r\n\r\n');
    await expect.poll(received).toMatch(/\r\n\r\n: bitacora\nretry: 1000\n\nevent: sync\n/);
    expect(received().toLowerCase()).not.toContain('transfer-encoding');
    socket.destroy();
  });
});
