/** Who sends back the last position never reads anything older; and how new, and how patient, a read is. */
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Session } from '../../../../rpc/http/v1/session.ts';
import { parseToken } from '../../../../src/core/position.ts';
import type { Position } from '../../../../src/ports.ts';
import { createMemoryKeyValue } from '../../memory-key-value.ts';
import type { Call, Running } from '../start-server.ts';
import { ask, genesis, startV1 } from './start-v1.ts';

let running: Running;
beforeAll(async () => {
  running = await startV1({}, 5_000, createMemoryKeyValue(4));
});
afterAll(() => running.stop());
beforeEach(() => {
  running.keyValue.statusChange = { genesis };
  running.keyValue.readGate = undefined;
});

const kv = (key: string, options?: Call) => ask(running.port, `/v1/kv/${key}`, options);
const put = (key: string, headers: Record<string, string> = {}) => kv(key, { method: 'PUT', headers, body: 'v' });
const seen = (token: string, more: Record<string, string> = {}) => ({ headers: { 'bitacora-min-position': token, ...more } });
const offsets = (token: string | string[] | undefined) =>
  new Map(parseToken(String(token))?.positions.map(({ partition, offset }) => [partition as number, offset as number]));

describe('a token', () => {
  test('grows by what each answer reflects, and never goes back', async () => {
    const steps = fc.array(fc.tuple(fc.constantFrom('get', 'put', 'delete', 'list', 'batch', 'miss'), fc.nat(12)), { maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        let token: string | undefined;
        for (const [what, number] of list) {
          const headers: Record<string, string> = token === undefined ? {} : { 'bitacora-min-position': token };
          const path = what === 'list' ? '/v1/kv' : what === 'batch' ? '/v1/batch' : `/v1/kv/k${what === 'miss' ? 'x' : ''}${number}`;
          const method = { get: 'GET', miss: 'GET', list: 'GET', put: 'PUT', delete: 'DELETE', batch: 'POST' }[what] as string;
          const body = what === 'batch' ? `[{"op":"put","key":"k${number}","value":"b"},{"op":"get","key":"k1"}]` : '';
          if (what === 'batch') headers['content-type'] = 'application/json';
          const reply = await ask(running.port, path, { method, headers, body });
          expect(reply.status).toBeLessThan(500);
          const now = reply.headers['bitacora-position'] as string | undefined;
          if (token !== undefined) expect(now).toBeDefined();
          if (now === undefined) continue;
          expect(now).toMatch(/@8f14e45f$/);
          const after = offsets(now);
          for (const [partition, offset] of offsets(token)) expect(after.get(partition)).toBeGreaterThanOrEqual(offset);
          const version = reply.headers['etag']?.match(/"(\d+):(\d+)/);
          if (version) expect(after.get(Number(version[1]))).toBeGreaterThanOrEqual(Number(version[2]));
          token = now;
        }
      }),
      { numRuns: 30 },
    );
  });

  test('keeps positions of other partitions as they were', async () => {
    const { position } = await running.keyValue.put('a', Buffer.from('1'));
    const other = (position.partition + 1) % 4;
    const token = `${other}:0@8f14e45f`;
    const reply = await put('a', { 'bitacora-min-position': token });
    expect(offsets(reply.headers['bitacora-position']).get(other)).toBe(0);
    expect(offsets(reply.headers['bitacora-position']).size).toBe(2);
  });

  test('is handed to the read, with the whole genesis id', async () => {
    const written = await put('b');
    const token = written.headers['bitacora-position'] as string;
    expect((await kv('b', seen(token))).status).toBe(200);
    expect(running.keyValue.reads.at(-1)).toMatchObject({
      consistency: 'local',
      seen: { genesis, positions: parseToken(token)?.positions },
    });
    expect((await kv('b', seen(token.replace(/@.*/, '')))).status).toBe(200);
    expect((await kv('b', seen('@8f14e45f'))).status).toBe(200);
    expect((await kv('b', seen(''))).status).toBe(200);
  });

  test.each(['0:1@00000000', '4:1@8f14e45f', '9:1'])('%s is of another log: 409, for writes too', async (token) => {
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
      const reply = await kv('b', { method, ...seen(token) });
      expect(reply.status).toBe(409);
      if (method !== 'HEAD') expect(reply.json()['code']).toBe('position-foreign');
    }
  });

  test.each(['x', '0', '0:1,', '0:1@8f14', '"0:1"', '-1:0', `${'0:1,'.repeat(1_001)}0:1`])('%j is none: 400', async (token) => {
    expect((await kv('b', seen(token))).status).toBe(400);
  });

  test('of a log that is made anew under the request: its places are not told as some of the new log', () => {
    const keyValue = createMemoryKeyValue(4);
    keyValue.statusChange = { genesis };
    const session = new Session(keyValue, '1:9999,2:9999@8f14e45f');
    const [one, other] = parseToken('2:10000,3:5')!.positions as [Position, Position];
    session.note(one);
    keyValue.statusChange = { genesis: '12bcd644-0000-4000-8000-000000000000' };
    expect(session.token).toBe('');
    session.note(other);
    expect(session.token).toBe('3:5@12bcd644');
  });

  test('that is ahead of this node: 503, and what was seen comes back', async () => {
    const token = '0:99999,3:5@8f14e45f';
    running.keyValue.statusChange = { genesis };
    const { position } = await running.keyValue.put('b', Buffer.from('x'));
    const ahead = `${position.partition}:99999@8f14e45f`;
    const reply = await kv('b', seen(ahead));
    expect(reply.status).toBe(503);
    expect(reply.headers['retry-after']).toBe('1');
    expect(reply.headers['bitacora-position']).toBe(ahead);
    expect(reply.json()).toMatchObject({ code: 'position-not-reached', position: ahead });
    expect((await ask(running.port, '/v1/kv', seen(token))).status).toBe(503);
    expect((await ask(running.port, '/v1/kv?count=1', seen(token))).status).toBe(503);
    expect((await put('b', { 'bitacora-min-position': ahead })).status).toBe(200);
  });

  test('before this node knows its log: 503', async () => {
    running.keyValue.statusChange = { genesis: undefined };
    expect((await kv('b', seen('0:1@8f14e45f'))).status).toBe(503);
    expect((await put('b')).headers['bitacora-position']).toMatch(/^\d:\d+$/);
  });
});

describe('consistency', () => {
  test.each([
    ['local', 'local'],
    ['session', 'local'],
    ['latest', 'latest'],
    ['linearizable', 'linearizable'],
  ])('%s', async (asked, told) => {
    await put('c');
    running.keyValue.reads.length = 0;
    expect((await kv(`c?consistency=${asked}`)).status).toBe(200);
    expect((await ask(running.port, `/v1/kv?consistency=${asked}`)).status).toBe(200);
    const batch = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '[{"op":"get","key":"c"}]' };
    expect((await ask(running.port, `/v1/batch?consistency=${asked}`, batch)).status).toBe(200);
    // A local read of a single key without a token is answered by memory.
    const expected = told === 'local' ? ['local'] : [told, told, told];
    expect(running.keyValue.reads.map(({ consistency }) => consistency)).toEqual(expected);
  });

  test.each(['strong', '', 'LOCAL'])('%j: 400, naming what there is', async (asked) => {
    const reply = await kv(`c?consistency=${asked}`);
    expect(reply.status).toBe(400);
    expect(reply.json()['detail']).toContain('local, session, latest, linearizable');
  });
});

describe('Prefer: wait', () => {
  const timed = async (wait: string, token: string) => {
    const started = performance.now();
    const reply = await kv('w', seen(token, { prefer: wait }));
    return { reply, ms: performance.now() - started };
  };
  let ahead: string;
  beforeEach(async () => {
    const { position } = await running.keyValue.put('w', Buffer.from('x'));
    ahead = `${position.partition}:${position.offset + 1}@8f14e45f`;
  });

  test('bounds the wait', async () => {
    const { reply, ms } = await timed('wait=1', ahead);
    expect(reply.status).toBe(503);
    expect(ms).toBeGreaterThan(900);
    expect(ms).toBeLessThan(3_000);
    expect((await timed('wait=0', ahead)).ms).toBeLessThan(500);
  });

  test('a position that is reached meanwhile is answered', async () => {
    const answer = timed('respond-async, wait="20"; x', ahead);
    setTimeout(() => void running.keyValue.put('w', Buffer.from('new')), 150);
    const { reply, ms } = await answer;
    expect(reply.text).toBe('new');
    expect(ms).toBeLessThan(5_000);
  });

  test.each(['wait=x', 'wait', 'wait=-1', 'handling=lenient', ''])('%j is passed over', async (wait) => {
    const { reply, ms } = await timed(wait, ahead);
    expect(reply.status).toBe(503);
    expect(ms).toBeLessThan(500);
  });
});
