/** Aborts, timeouts and the end of a client: at every moment, and nothing is left behind. */
import { getEventListeners } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { type Bitacora, ClientError } from '../../client/http/index.ts';
import { all, type Behaviour, client, failureOf, fake, later, node, problem, refusing, well } from './setting.ts';

const hang: Behaviour = () => undefined;
const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
const before = timers();
afterEach(async () => {
  // Those of servers that are being stopped end by themselves.
  for (let times = 0; timers() > before && times < 40; times++) await later(50);
});

const calls: [string, boolean, (kv: Bitacora, signal: AbortSignal) => Promise<unknown>][] = [
  ['get', false, (kv, signal) => kv.get('k', { signal })],
  ['getBytes', false, (kv, signal) => kv.getBytes('k', { signal })],
  ['getRecord', false, (kv, signal) => kv.getRecord('k', { signal })],
  ['getJson', false, (kv, signal) => kv.getJson('k', { signal })],
  ['put', true, (kv, signal) => kv.put('k', '1', { signal })],
  ['del', true, (kv, signal) => kv.del('k', { signal })],
  ['cas', true, (kv, signal) => kv.cas('k', '0:0', '1', { signal })],
  ['update', true, (kv, signal) => kv.update('k', () => later(5).then(() => '1'), { signal })],
  ['list', false, (kv, signal) => all(kv.list({ limit: 1, signal }))],
  ['count', false, (kv, signal) => kv.count('', { signal })],
  ['batch', true, (kv, signal) => kv.batch([{ op: 'put', key: 'k', value: '1' }], { signal })],
  ['node', false, (kv, signal) => kv.node({ signal })],
  ['history', false, (kv, signal) => kv.history('k', { signal })],
  ['get of a moment', false, (kv, signal) => kv.get('k', { at: '1s', signal })],
  ['revert', true, (kv, signal) => kv.revert('k', '1s', { signal })],
  ['lock', true, (kv, signal) => kv.lock('k', () => later(2), { signal })],
];

describe.each(calls)('%s', (_, write, call) => {
  test('aborted before: nothing is sent', async () => {
    const { port, requests } = await fake(well);
    const reason = new Error('mine');
    const error = await failureOf(call(client([port]), AbortSignal.abort(reason)));
    expect(error).toMatchObject({ code: 'aborted', cause: reason });
    expect(requests).toHaveLength(0);
  });

  test('aborted while a node thinks', async () => {
    const { port, requests } = await fake(hang);
    const controller = new AbortController();
    const outcome = failureOf(call(client([port]), controller.signal));
    while (requests.length === 0) await later(2);
    controller.abort(new Error('mine'));
    const { code, cause } = await outcome;
    expect(code).toBe(write && requests[0]?.method !== 'GET' ? 'unknown-outcome' : 'aborted');
    expect(code === 'aborted' ? cause : (cause as Error).cause).toMatchObject({ message: 'mine' });
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  });

  test('aborted between two attempts', async () => {
    const { port } = await fake((_request, response) => problem(response, 503, 'draining', { 'Retry-After': '2' }));
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 60);
    const started = performance.now();
    expect((await failureOf(call(client([port]), controller.signal))).code).toBe('aborted');
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  test('aborted at any moment: a known end, and no listener is left', async () => {
    const { port, keyValue } = await node();
    const kv = client([port]);
    await kv.put('k', '1');
    await kv.put('l', '1');
    let ended = 0;
    for (let moment = 0; moment < 12; moment++) {
      const controller = new AbortController();
      const running = call(kv, controller.signal).catch((error: unknown) => error);
      if (moment > 0) await later(moment / 2);
      controller.abort();
      const outcome = await running;
      if (outcome instanceof ClientError) {
        ended++;
        expect(['aborted', 'unknown-outcome', 'version-conflict', 'bad-request']).toContain(outcome.code);
      } else expect(outcome).not.toBeInstanceOf(Error);
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    }
    expect(ended).toBeGreaterThan(0);
    expect(keyValue.failure).toBeUndefined();
  });
});

describe('a signal', () => {
  test('of many calls has one listener, and none when they are over', async () => {
    const { port } = await fake(hang);
    const kv = client([port], { timeoutMs: 100 });
    const { signal } = new AbortController();
    const running = Array.from({ length: 50 }, () => failureOf(kv.get('k', { signal })));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await Promise.all(running);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  test('ends a listing between two pages', async () => {
    const { port } = await node();
    const kv = client([port]);
    for (const key of ['a', 'b', 'c']) await kv.put(key, 'v');
    const controller = new AbortController();
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { items } of kv.list({ limit: 1, signal: controller.signal })) {
        seen.push(items.length);
        controller.abort();
      }
    })();
    expect((await failureOf(reading)).code).toBe('aborted');
    expect(seen).toEqual([1]);
  });
});

describe('time', () => {
  test('a timeout is for all attempts together', async () => {
    const started = performance.now();
    const kv = client([await refusing(), await refusing()], { attempts: 1_000 });
    await failureOf(kv.put('k', 'v', { timeoutMs: 200 }));
    expect(performance.now() - started).toBeLessThan(500);
  });

  test('an answered call leaves no timer', async () => {
    const { port } = await fake(well);
    const kv = client([port], { timeoutMs: 60_000 });
    await kv.get('k');
    const idle = timers();
    for (let times = 0; times < 50; times++) await kv.get('k');
    await failureOf(client([await refusing()], { attempts: 2, timeoutMs: 60_000 }).get('k'));
    expect(timers()).toBeLessThanOrEqual(idle);
  });
});

describe('close', () => {
  test('lets calls finish', async () => {
    const { port } = await fake((...args) => void setTimeout(() => well(...args), 100));
    const kv = client([port]);
    const call = kv.get('k');
    await kv.close();
    expect(await call).toBe('fake value');
    expect(await failureOf(kv.get('k'))).toMatchObject({ code: 'closed', retryable: false });
  });

  test('ends what does not finish: reads are closed, writes that were sent unknown', async () => {
    const { port, requests } = await fake(hang);
    const kv = client([port], { closeTimeoutMs: 50 });
    const outcomes = [kv.get('k'), kv.put('k', 'v'), kv.cas('k', '0:1', 'v')].map(failureOf);
    while (requests.length < 3) await later(2);
    const started = performance.now();
    await Promise.all([kv.close(), kv.close()]);
    expect(performance.now() - started).toBeLessThan(1_000);
    expect((await Promise.all(outcomes)).map(({ code }) => code)).toEqual(['closed', 'unknown-outcome', 'unknown-outcome']);
  });

  test('ends a wait between two attempts', async () => {
    const kv = client([await refusing()], { closeTimeoutMs: 0, attempts: 1_000 });
    const outcome = failureOf(kv.put('k', 'v'));
    await later(20);
    await kv.close();
    expect(['closed', 'connection']).toContain((await outcome).code);
  });

  test('leaves no connection', async () => {
    let open = 0;
    const { port } = await fake((request, response, number) => {
      const { socket } = response;
      if (number === 1) open++;
      socket?.once('close', () => open--);
      well(request, response, number);
    });
    const kv = client([port]);
    await kv.get('k');
    await kv.close();
    while (open > 0) await later(2);
  });
});
