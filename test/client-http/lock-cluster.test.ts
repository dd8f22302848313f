/** Locks through several nodes: who counts under one loses nothing, though holders die, nodes go away and outcomes are unknown. */
import { describe, expect, test } from 'vitest';
import type { Bitacora, Held } from '../../client/http/index.ts';
import { cluster } from './cluster.ts';
import { client, failureOf, later } from './setting.ts';
import { wireTo } from './wire.ts';

/** Not atomic: whoever comes between the two loses a count. */
async function increment(kv: Bitacora, key = 'counter'): Promise<void> {
  const count = Number((await kv.get(key)) ?? 0);
  await later(Math.random() * 5);
  await kv.put(key, String(count + 1));
}

const never = (): Promise<void> => new Promise(() => undefined);

/** Resolves when the work is asked to end. */
const asked = ({ signal }: Held): Promise<number> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(performance.now()), { once: true }));

describe('twenty who count', () => {
  test('through three nodes, of which one leaves: none is lost, and fences rise', async () => {
    const { nodes, ports } = await cluster(3);
    const fences: number[] = [];
    let inside = 0;
    const count = async (kv: Bitacora): Promise<void> => {
      for (let times = 0; times < 3; times++) {
        await kv.lock(
          'count',
          async ({ fence }) => {
            expect(++inside).toBe(1);
            fences.push(fence);
            await increment(kv);
            inside--;
          },
          { waitMs: 60_000 },
        );
      }
    };
    const counting = Array.from({ length: 20 }, () => count(client(ports)));
    while (fences.length < 20) await later(10);
    await nodes[0]?.leave();
    await Promise.all(counting);
    expect(await client(ports).get('counter', { consistency: 'linearizable' })).toBe('60');
    expect(fences).toHaveLength(60);
    expect(fences).toEqual([...fences].sort((one, other) => one - other));
  });

  test('among holders that die: their time runs out, and the fence keeps them from counting late', async () => {
    const { ports } = await cluster(3);
    const wires = await Promise.all(ports.map((port) => wireTo(port)));
    const mortal = client(
      wires.map(({ port }) => port),
      { closeTimeoutMs: 0 },
    );
    // What is outside looks at the fence.
    const outside = { fence: -1, count: 0, refused: 0 };
    const add = (fence: number): void => {
      if (fence < outside.fence) outside.refused++;
      else Object.assign(outside, { fence, count: outside.count + 1 });
    };
    const options = { ttlMs: 500, waitMs: 60_000 };
    let survived = 0;
    const late: Promise<void>[] = [];
    const die = async (): Promise<void> => {
      await failureOf(
        mortal.lock(
          'count',
          async (held) => {
            for (const wire of wires) wire.cut();
            await asked(held);
            // It goes on all the same, when others have had it.
            late.push(
              (async () => {
                const before = survived;
                while (survived === before) await later(10);
                add(held.fence);
              })(),
            );
          },
          options,
        ),
      );
      for (const wire of wires) wire.mend();
    };
    const count = async (kv: Bitacora): Promise<void> => {
      await kv.lock(
        'count',
        async ({ fence }) => {
          add(fence);
          await later(1);
          survived++;
        },
        options,
      );
    };
    for (let death = 0; death < 3; death++) {
      const dying = die();
      await Promise.all(Array.from({ length: 6 }, () => count(client(ports))));
      await dying;
    }
    await count(client(ports));
    await Promise.all(late);
    expect(outside.count).toBe(19);
    expect(outside.refused).toBe(3);
  });
});

describe('a holder', () => {
  test('who reaches no node hears of it before anybody else can have the lock', async () => {
    const { ports } = await cluster(2);
    const wires = await Promise.all(ports.map((port) => wireTo(port)));
    const lonely = client(
      wires.map(({ port }) => port),
      { timeoutMs: 300 },
    );
    let lostAt = 0;
    let begin: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const failure = failureOf(
      lonely.lock(
        'a',
        async (held) => {
          begin();
          for (const wire of wires) wire.freeze();
          lostAt = await asked(held);
        },
        { ttlMs: 900 },
      ),
    );
    await begun;
    const takenAt = await client(ports).lock('a', () => performance.now());
    expect(await failure).toMatchObject({ code: 'lock-lost', message: expect.stringContaining('in time') });
    expect(lostAt).toBeGreaterThan(0);
    expect(lostAt).toBeLessThan(takenAt);
  });

  test('keeps it while the node that he renews with goes away', async () => {
    const { nodes, ports } = await cluster(3);
    const kv = client(ports);
    await kv.lock(
      'a',
      async (held) => {
        for (const { leave } of nodes.slice(0, 2)) {
          await leave();
          await later(400);
        }
        expect(held.signal.aborted).toBe(false);
      },
      { ttlMs: 900 },
    );
    expect(await kv.get('lock/a', { consistency: 'latest' })).toBeUndefined();
  });

  test('reads what the one before him wrote, whichever node he asks', async () => {
    const { ports } = await cluster(3);
    const [one, other] = [client([ports[0] as number]), client([ports[1] as number])];
    for (let times = 0; times < 20; times++) {
      for (const kv of [one, other]) await kv.lock('a', () => increment(kv, '{elsewhere}'));
    }
    expect(await one.get('{elsewhere}', { consistency: 'latest' })).toBe('40');
  });
});

describe('an unknown outcome', () => {
  test.each(['before', 'after'] as const)('of the acquiring write, lost %s it was in the log', async (point) => {
    const { topic, ports } = await cluster(2);
    const kv = client(ports, { timeoutMs: 2_000 });
    topic.hold(point);
    const fences = kv.lock('a', ({ fence }) => fence);
    await later(100);
    topic.release('unknown');
    const fence = await fences;
    expect(await kv.lock('a', (held) => held.fence)).toBeGreaterThan(fence);
  });

  test.each(['before', 'after'] as const)('of a renewal, lost %s it was in the log', async (point) => {
    const { topic, ports } = await cluster(2);
    const kv = client(ports, { timeoutMs: 2_000 });
    await kv.lock(
      'a',
      async (held) => {
        for (let times = 0; times < 3; times++) {
          topic.hold(point);
          await later(400);
          topic.release('unknown');
          await later(300);
        }
        expect(held.signal.aborted).toBe(false);
      },
      { ttlMs: 1_000 },
    );
    expect(await kv.get('lock/a', { consistency: 'latest' })).toBeUndefined();
  });
});

test('a holder who never ends holds nobody up when his client is gone', async () => {
  const { ports } = await cluster(1);
  const gone = client(ports, { closeTimeoutMs: 0 });
  let begin: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  void gone.lock(
    'a',
    () => {
      begin();
      return never();
    },
    { ttlMs: 300 },
  );
  await begun;
  await gone.close();
  expect(await client(ports).lock('a', () => 'mine')).toBe('mine');
});
