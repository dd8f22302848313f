/** Questions to peers, against servers that answer, hang, lie, flood and die. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { openHttpPeers, type PeerLimits, type PeerOutcome } from '../../cluster/peers.ts';
import type { Member, PeerAnswer, Peers } from '../../src/ports.ts';
import { createKeptLog, realClock } from './real-clock.ts';

type Handler = (key: string, response: ServerResponse, request: IncomingMessage) => void;

const servers: (Server | TcpServer)[] = [];
const opened: Peers[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((peers) => peers.close()));
  for (const server of servers.splice(0)) {
    server.close();
    if ('closeAllConnections' in server) server.closeAllConnections();
  }
});

async function started(server: Server | TcpServer): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const peer = (handler: Handler): Promise<string> =>
  started(
    createServer((request, response) => {
      const key = new URL(request.url ?? '', 'http://peer').searchParams.get('key') ?? '';
      handler(key, response, request);
    }),
  );

const has =
  (value: string, next: number): Handler =>
  (key, response) => {
    response.writeHead(200, { 'bitacora-applied': `3:${next}`, 'bitacora-genesis': 'g' });
    response.end(JSON.stringify({ key, value, timestamp: 7, source: 1, ttl: 0, uuid: 'u', version: '3:5', contentType: 't' }));
  };
const lacks =
  (next: number): Handler =>
  (key, response) =>
    response.writeHead(404, { 'bitacora-applied': `3:${next}` }).end(JSON.stringify({ message: `Key ${key} not found` }));
const hangs: Handler = () => undefined;

function open(addresses: readonly string[], limits: Partial<PeerLimits> = {}) {
  const outcomes: PeerOutcome[] = [];
  const log = createKeptLog();
  const members: Member[] = addresses.map((address) => ({ address, socket: '' }));
  const peers = openHttpPeers({
    members: () => members,
    requestHeaders: { 'x-test': '1' },
    clock: realClock,
    logger: log,
    limits,
    observe: (outcome) => outcomes.push(outcome),
  });
  opened.push(peers);
  return { peers, outcomes, log, members };
}

async function all(answers: AsyncIterable<PeerAnswer>): Promise<PeerAnswer[]> {
  const collected: PeerAnswer[] = [];
  for await (const answer of answers) collected.push(answer);
  return collected;
}

const text = (answer: PeerAnswer | undefined): string | undefined =>
  answer?.found === undefined ? undefined : Buffer.from(answer.found.value).toString();

test('nobody to ask: no answers, at once', async () => {
  expect(await all(open([]).peers.ask('k', 1_000))).toEqual([]);
});

test('every answer is told in full, presence and absence', async () => {
  const [a, b] = [await peer(has('v', 10)), await peer(lacks(12))];
  const answers = await all(open([a, b]).peers.ask('k', 2_000));
  expect(answers).toHaveLength(2);
  expect(answers.find((answer) => answer.from === a)).toEqual({
    from: a,
    next: 10,
    genesis: 'g',
    found: { value: Buffer.from('v'), version: { partition: 3, offset: 5 }, time: 7, expires: 0, id: 'u', contentType: 't' },
  });
  expect(answers.find((answer) => answer.from === b)).toEqual({ from: b, next: 12, genesis: undefined, found: undefined });
});

test('answers come as they come: the slow one does not hold up the fast one, and ends by itself', async () => {
  const slow = await peer((key, response) => setTimeout(() => has('slow', 1)(key, response, undefined as never), 300));
  const fast = await peer(has('fast', 1));
  const { peers, outcomes } = open([slow, fast]);
  const began = performance.now();
  for await (const answer of peers.ask('k', 2_000)) {
    expect(text(answer)).toBe('fast');
    break;
  }
  expect(performance.now() - began).toBeLessThan(250);
  await expect.poll(() => outcomes).toEqual(['found', 'found']);
});

test.each(['a&b=c', '100%', 'a+b c', '🔑', 'ñ/ü?#', '"<>\\', '__proto__'])('key %j arrives as it is', async (key) => {
  const asked: string[] = [];
  const address = await peer((arrived, response, request) => {
    asked.push(arrived, String(request.headers['x-test']));
    has(arrived, 1)(arrived, response, request);
  });
  expect((await all(open([address]).peers.ask(key, 2_000))).map(text)).toEqual([key]);
  expect(asked).toEqual([key, '1']);
});

describe('older nodes', () => {
  test('plain JSON without a position', async () => {
    const address = await peer((key, response) =>
      response.end(`{"key":"${key}","value":"old","timestamp":1441234567890,"source":1,"ttl":0,"uuid":"x"}\n`),
    );
    const [answer] = await all(open([address]).peers.ask('k', 2_000));
    expect(answer).toMatchObject({
      next: undefined,
      genesis: undefined,
      found: { time: 1441234567890, version: undefined, contentType: '' },
    });
  });

  test('404 with the key unescaped', async () => {
    const address = await peer((_key, response) => response.writeHead(404).end('{ "message": "Key a"b not found"} '));
    expect(await all(open([address]).peers.ask('a"b', 2_000))).toEqual([
      { from: address, next: undefined, genesis: undefined, found: undefined },
    ]);
  });

  test('a ttl of -1 is an absence', async () => {
    const address = await peer((key, response) =>
      response.end(JSON.stringify({ key, value: 'over', timestamp: 1, source: 1, ttl: -1, uuid: 'x' })),
    );
    expect(await all(open([address]).peers.ask('k', 2_000))).toMatchObject([{ found: undefined }]);
  });
});

test('bytes that are not text', async () => {
  const address = await peer((key, response) => {
    response.setHeader('bitacora-applied', '0:9');
    response.end(JSON.stringify({ key, value_b64: '/wAB', timestamp: 1, source: 1, ttl: 5, uuid: '', version: null, contentType: '' }));
  });
  const [answer] = await all(open([address]).peers.ask('k', 2_000));
  expect([...(answer?.found?.value ?? [])]).toEqual([0xff, 0, 1]);
  expect(answer?.found?.expires).toBe(5);
});

describe('what is no answer', () => {
  const good = { key: 'k', value: 'v', timestamp: 1, source: 1, ttl: 0, uuid: 'u' };
  test.each<[string, number, string, Record<string, string>]>([
    ['words', 200, 'hello', {}],
    ['an array', 200, '[]', {}],
    ['null', 200, 'null', {}],
    ['another key', 200, JSON.stringify({ ...good, key: 'other' }), {}],
    ['no value', 200, JSON.stringify({ ...good, value: undefined }), {}],
    ['a number for a value', 200, JSON.stringify({ ...good, value: 1 }), {}],
    ['broken base64', 200, JSON.stringify({ ...good, value: undefined, value_b64: '***' }), {}],
    ['a time that is none', 200, JSON.stringify({ ...good, timestamp: 'soon' }), {}],
    ['a time before time', 200, JSON.stringify({ ...good, timestamp: -5 }), {}],
    ['a time too large', 200, JSON.stringify({ ...good, timestamp: 1e300 }), {}],
    ['a broken version', 200, JSON.stringify({ ...good, version: 'x' }), {}],
    ['a broken position', 200, JSON.stringify(good), { 'bitacora-applied': '0:-1' }],
    ['a 404 of something else', 404, '<html>not here</html>', {}],
    ['a redirect', 302, '', { location: 'http://127.0.0.1:1/' }],
    ['not yet', 503, '{"message": "starting"}', {}],
    ['a mistake', 500, '', {}],
  ])('%s', async (_what, status, body, headers) => {
    const address = await peer((_key, response) => response.writeHead(status, headers).end(body));
    const { peers, outcomes } = open([address, await peer(has('v', 1))]);
    expect((await all(peers.ask('k', 2_000))).map(text)).toEqual(['v']);
    expect(outcomes.toSorted()).toEqual(['failed', 'found']);
  });

  test('bytes that are not HTTP', async () => {
    const address = await started(createTcpServer((socket) => socket.on('error', () => undefined).end('\x00\x01\x02 garbage\r\n\r\n')));
    expect(await all(open([address]).peers.ask('k', 2_000))).toEqual([]);
  });

  test('an endless body, and a large one that is announced', async () => {
    const endless = await peer((_key, response) => {
      response.on('error', () => undefined);
      const pump = (): void => {
        while (response.write('x'.repeat(10_000)));
      };
      response.on('drain', pump);
      pump();
    });
    const announced = await peer((_key, response) => response.writeHead(200, { 'content-length': '100000' }).end('x'.repeat(100_000)));
    const { peers, outcomes } = open([endless, announced], { maxAnswerBytes: 50_000 });
    expect(await all(peers.ask('k', 5_000))).toEqual([]);
    expect(outcomes).toEqual(['failed', 'failed']);
  });

  test('nobody there, half an answer, and no address at all', async () => {
    const gone = createServer();
    const address = await started(gone);
    await new Promise((resolve) => gone.close(resolve));
    const half = await peer((_key, response) => {
      response.writeHead(200, { 'content-length': '50' });
      response.write('{"key":');
      setTimeout(() => response.destroy(), 20);
    });
    const { peers, outcomes } = open([address, half, 'nonsense', 'host:99999', 'user@host:80', 'host:80/path']);
    expect(await all(peers.ask('k', 2_000))).toEqual([]);
    expect(outcomes.toSorted()).toEqual(['failed', 'failed', 'skipped', 'skipped', 'skipped', 'skipped']);
  });
});

test('a peer that hangs costs the time limit and no more', async () => {
  const { peers, outcomes } = open([await peer(hangs), await peer(has('v', 1))]);
  const began = performance.now();
  expect((await all(peers.ask('k', 150))).map(text)).toEqual(['v']);
  expect(performance.now() - began).toBeGreaterThan(140);
  expect(performance.now() - began).toBeLessThan(1_000);
  await expect.poll(() => outcomes).toEqual(['found', 'timeout']);
});

test('the caller’s signal ends the wait, before and during', async () => {
  const { peers } = open([await peer(hangs)]);
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 50);
  const began = performance.now();
  expect(await all(peers.ask('k', 5_000, controller.signal))).toEqual([]);
  expect(await all(peers.ask('k', 5_000, controller.signal))).toEqual([]);
  expect(performance.now() - began).toBeLessThan(1_000);
});

test('a peer that keeps failing is left alone, asked once after a while, and is back when it answers', async () => {
  let well = false;
  let asked = 0;
  const address = await peer((key, response, request) => {
    asked++;
    if (well) has('v', 1)(key, response, request);
    else response.writeHead(500).end();
  });
  const { peers, outcomes, log } = open([address], { failures: 3, firstPauseMs: 200 });
  for (let turn = 0; turn < 6; turn++) await all(peers.ask('k', 1_000));
  expect(asked).toBe(3);
  expect(outcomes.filter((outcome) => outcome === 'skipped')).toHaveLength(3);
  expect(log.events).toEqual(['peers.paused']);
  await new Promise((resolve) => setTimeout(resolve, 250));
  await Promise.all([1, 2, 3, 4].map(() => all(peers.ask('k', 1_000))));
  expect(asked).toBe(4);
  well = true;
  await new Promise((resolve) => setTimeout(resolve, 450));
  expect((await all(peers.ask('k', 1_000))).map(text)).toEqual(['v']);
  expect(await Promise.all([1, 2, 3].map(async () => (await all(peers.ask('k', 1_000))).length))).toEqual([1, 1, 1]);
});

test('a question that a peer refuses does not stop other questions to it', async () => {
  const address = await peer((key, response, request) =>
    key === 'odd' ? response.writeHead(400).end('{}') : has('v', 1)(key, response, request),
  );
  const { peers } = open([address], { failures: 2 });
  for (let turn = 0; turn < 5; turn++) expect(await all(peers.ask('odd', 1_000))).toEqual([]);
  expect(await all(peers.ask('k', 1_000))).toHaveLength(1);
});

test('questions above the limit are left out, not queued', async () => {
  let asked = 0;
  const address = await peer(() => {
    asked++;
  });
  const { peers, outcomes } = open([address], { maxInFlight: 4 });
  await Promise.all(Array.from({ length: 10 }, () => all(peers.ask('k', 200))));
  expect(asked).toBe(4);
  expect(outcomes.filter((outcome) => outcome === 'skipped')).toHaveLength(6);
});

test('connections are used again, and one that its peer has closed is no failure', async () => {
  let connections = 0;
  const server = createServer((request, response) => has('v', 1)('k', response, request));
  server.on('connection', () => {
    connections++;
  });
  const { peers, outcomes } = open([await started(server)], { failures: 1 });
  for (let turn = 0; turn < 5; turn++) expect(await all(peers.ask('k', 1_000))).toHaveLength(1);
  expect(connections).toBe(1);
  server.closeAllConnections();
  for (let turn = 0; turn < 3; turn++) expect(await all(peers.ask('k', 1_000))).toHaveLength(1);
  expect(outcomes).toEqual(Array(8).fill('found'));
});

test('close ends what is under way and leaves no connection', async () => {
  const server = createServer(() => undefined);
  const { peers } = open([await started(server)]);
  const asking = all(peers.ask('k', 10_000));
  await new Promise((resolve) => server.once('request', resolve));
  await peers.close();
  await peers.close();
  expect(await asking).toEqual([]);
  expect(await all(peers.ask('k', 1_000))).toEqual([]);
  await expect.poll(() => new Promise((resolve) => server.getConnections((_error, count) => resolve(count)))).toBe(0);
});
