/** What a watch tells, how it ends, and what it holds: against a running node, and against one that is nasty. */
import { getEventListeners } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { client, failureOf, fake, later, node, problem, refusing, say } from './setting.ts';
import { lineOf, watcher } from './watcher.ts';
import { wireTo } from './wire.ts';

const ndjson = { 'Bitacora-Node': 'fake', 'Content-Type': 'application/x-ndjson' };
const line = (response: ServerResponse, value: object): boolean => response.write(`${JSON.stringify(value)}\n`);
const sync = (position = '0:1@8f14e45f') => ({ event: 'sync', position });
const put = (offset: number) => ({ event: 'put', position: `0:${offset}@8f14e45f`, key: 'k', value: 'v', version: `0:${offset}`, id: 'i' });

describe('the events', () => {
  test('puts and deletes with all that is known of them', async () => {
    const kv = client([(await node()).port]);
    const told = watcher(kv, { key: 'a' });
    await told.live();
    const written = await kv.put('a', 'grün', { ttlMs: 60_000, contentType: 'text/plain' });
    await kv.put('b', 'another key');
    await kv.put('a', Uint8Array.of(0xff, 0x00));
    await kv.del('a');
    const [, first, second, third] = await told.many(4);
    expect(first).toEqual({
      kind: 'put',
      key: 'a',
      value: 'grün',
      bytes: Buffer.from('grün'),
      version: written.version,
      time: expect.any(Date),
      expires: written.expires,
      contentType: 'text/plain',
      id: written.id,
      position: `${written.version}@8f14e45f`,
    });
    expect(second).toMatchObject({ kind: 'put', value: '\ufffd\0', bytes: Buffer.of(0xff, 0), expires: undefined, contentType: undefined });
    expect(third).toEqual({ kind: 'delete', key: 'a', version: expect.any(String), time: expect.any(Date), position: expect.any(String) });
  });

  test('of a prefix; of all keys when nothing is said', async () => {
    const kv = client([(await node()).port]);
    const [some, all] = [watcher(kv, { prefix: 'a/ü&=/' }), watcher(kv)];
    await Promise.all([some.live(), all.live()]);
    await kv.put('b', '1');
    await kv.put('a/ü&=/x', '2');
    await all.many(3);
    await some.many(2);
    expect(some.lines()).toEqual(['put a/ü&=/x=2']);
    expect(all.lines()).toEqual(['put b=1', 'put a/ü&=/x=2']);
  });

  test('the state first, then sync, then what comes', async () => {
    const kv = client([(await node()).port]);
    await kv.put('a', '1');
    await kv.put('b', '2');
    const told = watcher(kv, { initial: true });
    await told.live();
    await kv.del('a');
    expect((await told.many(4)).map(lineOf)).toEqual(['put a=1', 'put b=2', 'sync', 'delete a']);
    expect(told.events.map(({ position }) => position !== undefined)).toEqual([false, false, true, true]);
  });

  test('from a position: an event’s, a session’s, or that of one that has seen nothing', async () => {
    const kv = client([(await node()).port]);
    const nothing = kv.position;
    await kv.put('a', '1');
    const { position } = kv;
    const first = watcher(kv);
    await first.live();
    await kv.put('a', '2');
    await kv.put('a', '3');
    const [, second] = await first.many(3);
    for (const [from, missed] of [
      [nothing, ['put a=1', 'put a=2', 'put a=3']],
      [position, ['put a=2', 'put a=3']],
      [second?.position, ['put a=3']],
      ['reset', ['reset', 'put a=3']],
    ] as const) {
      const told = watcher(kv, { from });
      await told.live();
      expect(told.lines(), from).toEqual(missed);
    }
  });

  test('a reset where changes were forgotten, then the state', async () => {
    const { port, keyValue } = await node();
    const kv = client([port]);
    await kv.put('gone', '1');
    const { position } = kv;
    await kv.del('gone');
    await kv.put('a', '2');
    keyValue.watches.forget();
    const told = watcher(kv, { from: position });
    await told.live();
    expect(told.events.map(lineOf)).toEqual(['reset', 'put a=2', 'sync']);
    expect(told.events[0]).toEqual({ kind: 'reset', position: 'reset' });
  });

  test('what newer nodes tell beyond them is passed over', async () => {
    const { port } = await fake((_, response) => {
      response.writeHead(200, ndjson);
      for (const each of [{ event: 'heartbeat' }, { event: 'moved', position: '0:7@8f14e45f', to: 'x' }, sync()]) line(response, each);
    });
    const told = watcher(client([port]));
    await told.live();
    expect(told.events).toHaveLength(1);
  });

  test('a line in many pieces, and many in one', async () => {
    const text = [sync(), put(2), { ...put(3), value: '€'.repeat(50_000) }, put(4)].map((each) => `${JSON.stringify(each)}\n`).join('');
    const bytes = Buffer.from(text);
    const { port } = await fake(async (_, response) => {
      response.writeHead(200, ndjson);
      for (let from = 0; from < bytes.length; from += 997) {
        response.write(bytes.subarray(from, from + 997));
        if (from % 5 === 0) await later(0);
      }
    });
    const told = watcher(client([port]));
    const events = await told.many(4);
    expect(events.map((event) => (event.kind === 'put' ? event.value.length : 0))).toEqual([0, 1, 50_000, 1]);
  });
});

describe('the session', () => {
  test('has seen what was told', async () => {
    const { port } = await node();
    const [kv, writer] = [client([port]), client([port])];
    const told = watcher(kv);
    await told.live();
    const { version } = await writer.put('a', '1');
    await told.many(2);
    expect(kv.position).toBe(`${version}@8f14e45f`);
  });

  test('hears at its next read that the log is another one', async () => {
    const { port, keyValue } = await node();
    const kv = client([port]);
    await kv.put('a', '1');
    const told = watcher(kv);
    await told.live();
    keyValue.statusChange = { genesis: '99999999-0000-4000-8000-000000000000' };
    keyValue.watches.loseAll();
    await told.many(4);
    expect(told.events.map(lineOf)).toEqual(['sync', 'reset', 'put a=1', 'sync']);
    expect((await failureOf(kv.get('a'))).code).toBe('position-foreign');
    expect(await kv.get('a')).toBe('1');
  });
});

describe('the end', () => {
  test('by its signal: no error, no listener, no connection', async () => {
    const { port, keyValue } = await node();
    const controller = new AbortController();
    const told = watcher(client([port]), { signal: controller.signal });
    await told.live();
    controller.abort();
    expect(await told.ended).toBeUndefined();
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    await expect.poll(() => keyValue.watches.open).toBe(0);
  });

  test('by a signal that was aborted before: nobody is asked', async () => {
    const { port, requests } = await fake((_, response) => say(response, 200));
    const told = watcher(client([port]), { signal: AbortSignal.abort() });
    expect(await told.ended).toBeUndefined();
    expect(requests).toHaveLength(0);
  });

  test('by leaving the loop', async () => {
    const { port, keyValue } = await node();
    for await (const { kind } of client([port]).watch()) if (kind === 'sync') break;
    await expect.poll(() => keyValue.watches.open).toBe(0);
  });

  test('by return() while an event is awaited', async () => {
    const { port, keyValue } = await node();
    const told = watcher(client([port]));
    await told.live();
    expect(await told.leave()).toEqual({ done: true, value: undefined });
    expect(await told.ended).toBeUndefined();
    await expect.poll(() => keyValue.watches.open).toBe(0);
  });

  test('with the client, at once, though its reader is busy; a closed one begins none', async () => {
    const { port, keyValue } = await node();
    const kv = client([port], { closeTimeoutMs: 60_000 });
    const told = watcher(kv, {}, () => new Promise(() => undefined));
    await told.many(1);
    await kv.close();
    await expect.poll(() => keyValue.watches.open).toBe(0);
    expect(await failureOf(kv.watch().next())).toMatchObject({ code: 'closed' });
  });

  test('while no node is there', async () => {
    const controller = new AbortController();
    const told = watcher(client([await refusing()]), { signal: controller.signal });
    await later(50);
    controller.abort();
    expect(await told.ended).toBeUndefined();
  });
});

describe('errors', () => {
  test.each([
    ['bad-request', { key: 'a', prefix: 'b' }],
    ['bad-request', { from: 'elsewhere' }],
    ['bad-request', { silenceMs: 0 }],
    ['bad-request', { patienceMs: -1 }],
    ['key-invalid', { key: '' }],
  ])('%s: %j', async (code, options) => {
    const { port, requests } = await fake((_, response) => say(response, 200));
    expect(await watcher(client([port]), options).ended).toMatchObject({ code });
    expect(requests).toHaveLength(0);
  });

  test.each([
    [400, 'bad-request'],
    [400, 'key-invalid'],
    [409, 'position-foreign'],
  ])('%d %s of a node ends it', async (status, code) => {
    const { port, requests } = await fake((_, response) => problem(response, status, code));
    expect(await watcher(client([port])).ended).toMatchObject({ code, retryable: false });
    expect(requests).toHaveLength(1);
  });

  test('what passes is waited for', async () => {
    const { port, requests } = await fake((_, response, number) => {
      if (number === 1) return problem(response, 503, 'overloaded');
      if (number === 2) return problem(response, 500, 'internal');
      if (number === 3) return void response.socket?.destroy();
      if (number === 4) return void response.writeHead(502).end('<html>');
      if (number === 5) return say(response, 200, 'no lines');
      if (number === 6) return void response.writeHead(200, ndjson).end('no json\n');
      response.writeHead(200, ndjson);
      line(response, sync());
    });
    await watcher(client([port])).live();
    expect(requests).toHaveLength(7);
  });

  test('nobody there for its patience: connection, with all that was tried', async () => {
    const [one, two] = [await refusing(), await refusing()];
    const error = await watcher(client([one, two]), { patienceMs: 300 }).ended;
    expect(error).toMatchObject({ code: 'connection', retryable: true, tried: [expect.anything(), expect.anything()] });
  });

  test('patience begins anew with every line', async () => {
    const { port } = await fake((_, response, number) => {
      response.writeHead(200, ndjson);
      line(response, put(number));
      setTimeout(() => response.socket?.destroy(), 60);
    });
    await watcher(client([port]), { patienceMs: 200 }).many(8);
  });

  test('pauses grow where a node ends every watch at once', async () => {
    const times: number[] = [];
    const { port } = await fake((_, response) => {
      times.push(performance.now());
      response.writeHead(200, ndjson);
      line(response, sync());
      response.end();
    });
    watcher(client([port]));
    await expect.poll(() => times.length, { timeout: 10_000 }).toBe(6);
    expect((times[5] as number) - (times[4] as number)).toBeGreaterThan(150);
  });

  test('a line without end is not kept', async () => {
    const { port } = await fake((_, response) => {
      response.writeHead(200, ndjson);
      response.write('x'.repeat(20_000));
    });
    expect(await watcher(client([port], { maxAnswerBytes: 10_000 })).ended).toMatchObject({ code: 'internal', retryable: false });
  });

  test('watches are bounded in number', async () => {
    const { port } = await node();
    const kv = client([port], { maxCalls: 1 });
    await watcher(kv).live();
    expect(await failureOf(kv.watch().next())).toMatchObject({ code: 'overloaded' });
  });
});

describe('a slow reader', () => {
  test('does not make the client read ahead', async () => {
    const value = 'x'.repeat(90_000);
    const { port, keyValue } = await node();
    const wire = await wireTo(port);
    const writer = client([port]);
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const told = watcher(client([wire.port]), {}, () => gate);
    await told.live();
    for (let number = 0; number < 400; number++) await writer.put(`k${number}`, value);
    // Neither a node nor the wire between gets rid of more than what fits the buffers of the system.
    let before: number;
    do {
      before = wire.bytesBack;
      await later(100);
    } while (wire.bytesBack > before);
    expect(wire.bytesBack).toBeLessThan(400 * value.length * 0.6);
    expect(told.events).toHaveLength(1);
    go();
    // The service in memory keeps a hundred changes for a watcher, so there is a reset, or a new connection after having been cut.
    const state = (): string[] => {
      const keys = new Set<string>();
      for (const event of told.events) {
        if (event.kind === 'reset') keys.clear();
        if (event.kind === 'put') keys.add(event.key);
      }
      return [...keys];
    };
    await expect.poll(() => state().length, { timeout: 20_000 }).toBe(400);
    expect(keyValue.watches.open).toBe(1);
  });
});
