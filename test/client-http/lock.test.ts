/** A lock as one holder and his neighbours see it. */
import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { ClientError, type Held, LockError } from '../../client/http/index.ts';
import { BitacoraError } from '../../src/core/errors.ts';
import { createMemoryKeyValue } from '../rpc/memory-key-value.ts';
import { behind, client, failureOf, fake, later, node, problem, refusing } from './setting.ts';

/** Resolves when the work is asked to end. */
const asked = ({ signal }: Held): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** A work that is under way until it is told to end. */
function work() {
  let begin: (held: Held) => void = () => undefined;
  let end: () => void = () => undefined;
  const begun = new Promise<Held>((resolve) => {
    begin = resolve;
  });
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return {
    begun,
    end: () => end(),
    async run(held: Held): Promise<void> {
      begin(held);
      await ended;
    },
  };
}

describe('the work', () => {
  test('is done under the lock, which is gone afterwards', async () => {
    const { port } = await node();
    const kv = client([port]);
    const result = await kv.lock(
      'jobs/a',
      async ({ fence, key, signal }) => {
        expect(key).toBe('lock/jobs/a');
        expect(signal.aborted).toBe(false);
        const record = await kv.getRecord(key);
        expect(record?.version?.split(':')[1]).toBe(String(fence));
        expect(record?.contentType).toBe('application/json');
        expect(JSON.parse(record?.text() ?? '')).toEqual({ owner: expect.any(String), info: { host: 'h' } });
        expect((record?.expires?.getTime() ?? 0) - Date.now()).toBeGreaterThan(9_000);
        return 'done';
      },
      { info: { host: 'h' } },
    );
    expect(result).toBe('done');
    expect(await kv.get('lock/jobs/a')).toBeUndefined();
  });

  test('fails with its own error, and the lock is released', async () => {
    const kv = client([(await node()).port]);
    const own = new Error('mine');
    const thrown = await kv
      .lock('a', () => {
        throw own;
      })
      .catch((error) => error);
    expect(thrown).toBe(own);
    expect(await kv.lock('a', () => 'again', { waitMs: 0 })).toBe('again');
  });

  test('may take longer than the time to live', async () => {
    const { port, keyValue } = await node();
    const kv = client([port]);
    const under = work();
    const first = kv.lock('a', under.run, { ttlMs: 300 });
    const { signal, key } = await under.begun;
    const second = client([port]).lock('a', () => 'second');
    const renewed = () => keyValue.writes.filter((write) => write.key === key && typeof write.condition === 'object').length;
    await expect.poll(renewed, { timeout: 10_000 }).toBeGreaterThan(6);
    expect(signal.aborted).toBe(false);
    expect(JSON.parse((await kv.get(key)) ?? '')).toEqual({ owner: expect.any(String) });
    under.end();
    await first;
    expect(await second).toBe('second');
  });

  test('reads nothing from before it, though a node is behind', async () => {
    const keyValue = createMemoryKeyValue(4);
    const current = await node(keyValue);
    const stale = await node(behind(keyValue));
    await client([current.port]).put('counter', '1');
    for (let times = 0; times < 10; times++) {
      const kv = client([stale.port, current.port]);
      await kv.lock('a', async () => expect(await kv.get('counter')).toBe('1'));
    }
  });

  test('hears at once that the lock was taken away', async () => {
    const { port } = await node();
    const kv = client([port]);
    const failure = failureOf(
      kv.lock(
        'a',
        async (held) => {
          await kv.put(held.key, 'mine now');
          await asked(held);
          expect(held.signal.reason).toMatchObject({ code: 'lock-lost', key: 'lock/a' });
          return 'all the same';
        },
        { ttlMs: 300 },
      ),
    );
    expect(await failure).toBeInstanceOf(LockError);
    expect(await failure).toMatchObject({ code: 'lock-lost', retryable: false, key: 'lock/a', cause: { code: 'version-conflict' } });
    expect(await kv.get('lock/a')).toBe('mine now');
  });

  test('that ended before the next renewal hears at the release', async () => {
    const kv = client([(await node()).port]);
    expect(await failureOf(kv.lock('a', ({ key }) => kv.del(key)))).toMatchObject({ code: 'lock-lost' });
  });

  test('that fails of the loss: the loss is told, its error is the cause', async () => {
    const kv = client([(await node()).port]);
    const failing = kv.lock(
      'a',
      async (held) => {
        await kv.del(held.key);
        await asked(held);
        throw new Error('I was stopped');
      },
      { ttlMs: 200 },
    );
    expect(await failureOf(failing)).toMatchObject({ code: 'lock-lost', cause: { message: 'I was stopped' } });
  });
});

describe('who finds it taken', () => {
  test('goes on when it is released, at once', async () => {
    const { port } = await node();
    const under = work();
    const first = client([port]).lock('a', under.run, { ttlMs: 60_000 });
    const { fence } = await under.begun;
    const second = client([port]).lock('a', (held) => held.fence);
    await later(100);
    const released = performance.now();
    under.end();
    await first;
    expect(await second).toBeGreaterThan(fence);
    expect(performance.now() - released).toBeLessThan(1_000);
  });

  test('does not wait with waitMs 0', async () => {
    const { port } = await node();
    const under = work();
    const first = client([port]).lock('a', under.run);
    await under.begun;
    let done = false;
    const failure = await failureOf(
      client([port]).lock(
        'a',
        () => {
          done = true;
        },
        { waitMs: 0 },
      ),
    );
    expect(failure).toBeInstanceOf(LockError);
    expect(failure).toMatchObject({ code: 'lock-taken', retryable: true });
    expect(done).toBe(false);
    under.end();
    await first;
  });

  test('waits no longer than waitMs, and costs the log nothing', async () => {
    const { port, keyValue } = await node();
    const under = work();
    const first = client([port]).lock('a', under.run, { ttlMs: 60_000 });
    await under.begun;
    const written = keyValue.writes.length;
    const started = performance.now();
    expect(await failureOf(client([port]).lock('a', () => undefined, { waitMs: 300 }))).toMatchObject({ code: 'lock-taken' });
    expect(performance.now() - started).toBeGreaterThan(290);
    expect(keyValue.writes.length).toBe(written);
    await expect.poll(() => keyValue.watches.open).toBe(0);
    under.end();
    await first;
  });

  test('leaves with his signal', async () => {
    const { port, keyValue } = await node();
    const under = work();
    const first = client([port]).lock('a', under.run, { ttlMs: 60_000 });
    await under.begun;
    const controller = new AbortController();
    const failure = failureOf(client([port]).lock('a', () => undefined, { signal: controller.signal, waitMs: Number.POSITIVE_INFINITY }));
    await expect.poll(() => keyValue.watches.open).toBe(1);
    controller.abort(new Error('mine'));
    expect(await failure).toMatchObject({ code: 'aborted', cause: { message: 'mine' } });
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    await expect.poll(() => keyValue.watches.open).toBe(0);
    under.end();
    await first;
  });

  test('gets it when the time of a dead holder is over', async () => {
    const { port } = await node();
    const kv = client([port]);
    const { version } = await kv.put('lock/a', 'of one who died', { ttlMs: 400 });
    expect(await kv.lock('a', ({ fence }) => fence)).toBeGreaterThan(Number(version.split(':')[1]));
  });
});

describe('the caller’s signal and the client’s end', () => {
  test('an abort before: nothing is written', async () => {
    const { port, keyValue } = await node();
    expect(await failureOf(client([port]).lock('a', () => undefined, { signal: AbortSignal.abort() }))).toMatchObject({ code: 'aborted' });
    expect(keyValue.writes).toHaveLength(0);
  });

  test('an abort while it is held asks the work to end; what it gives counts, and the lock is released', async () => {
    const kv = client([(await node()).port]);
    const controller = new AbortController();
    const result = await kv.lock(
      'a',
      async (held) => {
        controller.abort('enough');
        await asked(held);
        return held.signal.reason;
      },
      { signal: controller.signal },
    );
    expect(result).toBe('enough');
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    expect(await kv.get('lock/a')).toBeUndefined();
  });

  test('an abort while the acquiring write is under way: what it brings is released', async () => {
    const { port, keyValue } = await node();
    const kv = client([port]);
    let open: () => void = () => undefined;
    let arrived: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const atGate = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    let isShut = true;
    Object.defineProperty(keyValue, 'writeGate', {
      get: () => {
        arrived();
        return isShut ? gate : undefined;
      },
    });
    const controller = new AbortController();
    const failure = failureOf(kv.lock('a', () => undefined, { signal: controller.signal }));
    await atGate;
    controller.abort();
    expect(await failure).toMatchObject({ code: 'aborted' });
    isShut = false;
    open();
    await expect.poll(() => keyValue.written).toEqual(['lock/a', 'lock/a']);
    expect(await kv.get('lock/a')).toBeUndefined();
  });

  test('close asks the work to end, and the lock is released', async () => {
    const { port } = await node();
    const kv = client([port], { closeTimeoutMs: 5_000 });
    let closing: Promise<void> | undefined;
    await kv.lock('a', async (held) => {
      closing = kv.close();
      await asked(held);
      expect(held.signal.reason).toMatchObject({ code: 'closed' });
    });
    await closing;
    expect(await client([port]).get('lock/a')).toBeUndefined();
  });

  test('close ends the wait', async () => {
    const { port, keyValue } = await node();
    await client([port]).put('lock/a', 'somebody');
    const kv = client([port]);
    const failure = failureOf(kv.lock('a', () => undefined));
    await expect.poll(() => keyValue.watches.open).toBe(1);
    await kv.close();
    expect(await failure).toMatchObject({ code: 'closed' });
  });
});

describe('errors', () => {
  test.each([
    ['bad-request', '', {}],
    ['bad-request', 'a', { ttlMs: 99 }],
    ['bad-request', 'a', { ttlMs: 1_000, marginMs: 600 }],
    ['bad-request', 'a', { waitMs: -1 }],
    ['key-invalid', '\0', { prefix: '' }],
  ])('%s: %j %j', async (code, name, options) => {
    const { port, requests } = await fake((_, response) => problem(response, 500, 'internal'));
    expect(await failureOf(client([port]).lock(name, () => undefined, options))).toMatchObject({ code });
    expect(requests).toHaveLength(0);
  });

  test('nobody is there', async () => {
    const kv = client([await refusing()], { attempts: 3 });
    expect(await failureOf(kv.lock('a', () => undefined, { waitMs: 0 }))).toMatchObject({ code: 'connection' });
  });

  test('a topic without conditions', async () => {
    const { port, keyValue } = await node();
    keyValue.failures.set('lock/a', new BitacoraError('conditions-unsupported', 'no'));
    const failure = await failureOf(client([port]).lock('a', () => undefined));
    expect(failure).toBeInstanceOf(ClientError);
    expect(failure).toMatchObject({ code: 'conditions-unsupported' });
  });
});
