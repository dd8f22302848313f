/** Which node is asked, when the next one is, and how long a call waits in between. */
import { describe, expect, test } from 'vitest';
import { type Behaviour, client, failureOf, fake, problem, refusing, say, well } from './setting.ts';

const hang: Behaviour = () => undefined;
const busy =
  (retryAfter: string): Behaviour =>
  (_, response) =>
    problem(response, 503, 'overloaded', { 'Retry-After': retryAfter });

async function timed<T>(call: Promise<T>): Promise<{ value: T; ms: number }> {
  const started = performance.now();
  const value = await call;
  return { value, ms: performance.now() - started };
}

describe('a node that hangs', () => {
  test('a read moves on after a third of its time', async () => {
    const [one, two] = [await fake(hang), await fake(well)];
    let slowest = 0;
    for (let times = 0; times < 4; times++) {
      const { value, ms } = await timed(client([one.port, two.port], { timeoutMs: 600 }).get('k'));
      expect(value).toBe('fake value');
      slowest = Math.max(slowest, ms);
    }
    expect(slowest).toBeLessThan(590);
  });

  test('is left alone for a while', async () => {
    const [one, two] = [await fake(hang), await fake(well)];
    const kv = client([one.port, two.port], { timeoutMs: 150 });
    for (let times = 0; times < 30; times++) await kv.get('k');
    expect(one.requests.length).toBeLessThan(4);
  });

  test('a write that was sent stays, and its outcome is unknown', async () => {
    const [one, two] = [await fake(hang), await fake(hang)];
    const { value, ms } = await timed(failureOf(client([one.port, two.port], { timeoutMs: 300 }).put('k', 'v')));
    expect(value).toMatchObject({ code: 'unknown-outcome', retryable: false, cause: expect.objectContaining({ code: 'timeout' }) });
    expect(ms).toBeGreaterThan(280);
    expect(one.requests.length + two.requests.length).toBe(1);
  });

  test('a write with an idempotency key moves on', async () => {
    const [one, two] = [await fake(hang), await fake(well)];
    for (let times = 0; times < 4; times++) await client([one.port, two.port], { timeoutMs: 600 }).cas('k', '0:1', 'v');
    expect(two.requests).toHaveLength(4);
  });

  test('a read that finds nobody else: timeout', async () => {
    const { port, requests } = await fake(hang);
    expect(await failureOf(client([port], { timeoutMs: 100 }).get('k'))).toMatchObject({ code: 'timeout', retryable: true });
    expect(requests).toHaveLength(1);
  });

  test('in the middle of its answer is as slow as any', async () => {
    const middle: Behaviour = (_, response) => {
      response.writeHead(200, { 'Bitacora-Node': 'n', 'Content-Length': '10' });
      response.write('12');
    };
    const [one, two] = [await fake(middle), await fake(well)];
    for (let times = 0; times < 4; times++) {
      expect(await client([one.port, two.port], { timeoutMs: 600 }).get('k')).toBe('fake value');
    }
    expect((await failureOf(client([one.port], { timeoutMs: 100 }).get('k'))).code).toBe('timeout');
    expect((await failureOf(client([one.port], { timeoutMs: 100 }).put('k', 'v'))).code).toBe('unknown-outcome');
  });
});

describe('Retry-After', () => {
  test('is waited for', async () => {
    const { port } = await fake((...args) => (args[2] === 1 ? busy('1') : well)(...args));
    const { ms } = await timed(client([port]).put('k', 'v'));
    expect(ms).toBeGreaterThanOrEqual(990);
    expect(ms).toBeLessThan(2_500);
  });

  test('as a date', async () => {
    const { port } = await fake((...args) => (args[2] === 1 ? busy(new Date(Date.now() + 2_000).toUTCString()) : well)(...args));
    expect((await timed(client([port]).get('k'))).ms).toBeGreaterThan(500);
  });

  test('beyond the time of the call is told at once', async () => {
    const { port, requests } = await fake(busy('60'));
    const { value, ms } = await timed(failureOf(client([port]).get('k')));
    expect(value).toMatchObject({ code: 'overloaded', retryAfterMs: 60_000, retryable: true });
    expect(ms).toBeLessThan(500);
    expect(requests).toHaveLength(1);
  });

  test('of one node does not keep another from being asked', async () => {
    const [one, two] = [await fake(busy('60')), await fake(well)];
    for (let times = 0; times < 4; times++) expect((await timed(client([one.port, two.port]).get('k'))).ms).toBeLessThan(500);
  });

  test('of one node is kept over the rounds of a call', async () => {
    const one = await fake(busy('1'));
    const two = await fake((_, response) => problem(response, 503, 'draining'));
    const kv = client([one.port, two.port], { attempts: 5, timeoutMs: 900 });
    await failureOf(kv.put('k', 'v'));
    expect(one.requests).toHaveLength(1);
    expect(two.requests).toHaveLength(4);
  });

  test.each(['soon', '-1', ''])('%j is none', async (text) => {
    const { port } = await fake((...args) => (args[2] === 1 ? busy(text) : well)(...args));
    expect((await timed(client([port]).get('k'))).ms).toBeLessThan(500);
  });
});

describe('a loop of 503', () => {
  test('ends after so many attempts, longer apart each time', async () => {
    const times: number[] = [];
    const { port, requests } = await fake((_, response) => {
      times.push(performance.now());
      problem(response, 503, 'draining');
    });
    expect((await failureOf(client([port], { attempts: 5 }).get('k'))).code).toBe('draining');
    expect(requests).toHaveLength(5);
    expect((times[4] as number) - (times[3] as number)).toBeGreaterThan((times[1] as number) - (times[0] as number));
  });

  test('ends with the time of the call', async () => {
    const { port } = await fake((_, response) => problem(response, 503, 'draining'));
    const { value, ms } = await timed(failureOf(client([port], { attempts: 1_000 }).put('k', 'v', { timeoutMs: 400 })));
    expect(value.code).toBe('draining');
    expect(ms).toBeLessThan(600);
  });
});

describe('the choice', () => {
  test('spreads over those that are well', async () => {
    const nodes = [await fake(well), await fake(well), await fake(well)];
    const kv = client(nodes.map(({ port }) => port));
    for (let times = 0; times < 90; times++) await kv.get('k');
    for (const { requests } of nodes) expect(requests.length).toBeGreaterThan(10);
  });

  test('takes of two the one with less to do', async () => {
    const waiting: (() => void)[] = [];
    const slow: Behaviour = (...args) => void waiting.push(() => well(...args));
    const [one, two] = [await fake(slow), await fake(slow)];
    const kv = client([one.port, two.port]);
    const calls = Array.from({ length: 20 }, () => kv.get('k'));
    while (waiting.length < 20) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(one.requests).toHaveLength(10);
    for (const answer of waiting) answer();
    await Promise.all(calls);
  });

  test('leaves alone for a while who refuses', async () => {
    const there = await fake(well);
    const kv = client([await refusing(), there.port]);
    await Promise.all(Array.from({ length: 50 }, () => kv.put('k', 'v')));
    expect(there.requests).toHaveLength(50);
  });

  test('a node that was asked for is not replaced by another', async () => {
    const there = await fake((_, response) => say(response, 200, {}));
    const gone = `http://127.0.0.1:${await refusing()}`;
    expect((await failureOf(client([gone, there.port], { attempts: 2 }).node({ endpoint: gone }))).code).toBe('connection');
    expect(there.requests).toHaveLength(0);
  });
});

describe('connections', () => {
  test('are kept and used again', async () => {
    const ports = new Set<number | undefined>();
    const { port } = await fake((request, response, number) => {
      ports.add(response.socket?.remotePort);
      well(request, response, number);
    });
    const kv = client([port]);
    for (let times = 0; times < 10; times++) await kv.get('k');
    expect(ports.size).toBe(1);
  });

  test('end when they are idle, and not while an answer is awaited', async () => {
    let open = 0;
    const { port } = await fake((request, response, number) => {
      open++;
      response.socket?.once('close', () => open--);
      setTimeout(() => well(request, response, number), 200);
    });
    expect(await client([port], { idleMs: 50 }).get('k')).toBe('fake value');
    expect(open).toBe(1);
    while (open > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  test('are bounded in number', async () => {
    const ports = new Set<number | undefined>();
    const { port } = await fake((request, response, number) => {
      ports.add(response.socket?.remotePort);
      setTimeout(() => well(request, response, number), 5);
    });
    const kv = client([port], { maxSockets: 3 });
    await Promise.all(Array.from({ length: 30 }, () => kv.get('k')));
    expect(ports.size).toBe(3);
  });

  test('and calls are, too', async () => {
    const { port } = await fake(hang);
    const kv = client([port], { maxCalls: 2, timeoutMs: 200 });
    const calls = [kv.get('a'), kv.get('b')].map(failureOf);
    expect((await failureOf(kv.get('c'))).code).toBe('overloaded');
    await Promise.all(calls);
  });

  test('that wait for a free one were not sent', async () => {
    const { port, requests } = await fake(hang);
    const kv = client([port], { maxSockets: 1, timeoutMs: 200 });
    const calls = [kv.put('a', 'v'), kv.put('b', 'v', { timeoutMs: 100 })];
    const codes = await Promise.all(calls.map(async (call) => (await failureOf(call)).code));
    expect(codes).toEqual(['unknown-outcome', 'timeout']);
    expect(requests).toHaveLength(1);
  });
});

describe('answers of a wrong length', () => {
  test('too short: lost; too long: cut at what was said, or lost', async () => {
    const short = await fake((_, response) => {
      response.socket?.end('HTTP/1.1 200 OK\r\nBitacora-Node: n\r\nContent-Length: 50\r\n\r\nshort');
    });
    const kv = client([short.port], { attempts: 2 });
    expect((await failureOf(kv.get('k'))).code).toBe('connection');
    expect((await failureOf(kv.put('k', 'v'))).code).toBe('unknown-outcome');
    const long = await fake((_, response) => {
      response.socket?.write('HTTP/1.1 200 OK\r\nBitacora-Node: n\r\nContent-Length: 5\r\n\r\nright, and then more');
    });
    const outcomes = await Promise.all(
      Array.from({ length: 4 }, () =>
        client([long.port], { attempts: 2, timeoutMs: 500 })
          .get('k')
          .catch((error) => error.code),
      ),
    );
    for (const outcome of outcomes) expect(['right', 'connection']).toContain(outcome);
  });

  test('over the bound: cut off', async () => {
    const { port, requests } = await fake((_, response) => say(response, 200, 'x'.repeat(2_000)));
    const kv = client([port], { maxAnswerBytes: 1_000 });
    expect(await failureOf(kv.get('k'))).toMatchObject({ code: 'internal', retryable: false });
    expect(requests).toHaveLength(1);
  });
});
