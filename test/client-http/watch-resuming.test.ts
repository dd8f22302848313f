/** A watch over nodes that die, leave, freeze and fall behind: no gap, no duplicate. */
import { describe, expect, test } from 'vitest';
import { cluster } from './cluster.ts';
import { client, fake, later, node } from './setting.ts';
import { watcher } from './watcher.ts';
import { wireTo } from './wire.ts';

/** Versions that were told, in their order by partition; each once and none missing. */
function expectAll(told: ReturnType<typeof watcher>, keys: readonly string[]): void {
  const changes = told.events.filter((event) => event.kind === 'put');
  expect(changes.map(({ key }) => key).sort()).toEqual([...keys].sort());
  expect(new Set(changes.map(({ version }) => version)).size).toBe(changes.length);
  const last = new Map<string, number>();
  for (const { version } of changes) {
    const [partition, offset] = version.split(':') as [string, string];
    expect(Number(offset)).toBeGreaterThan(last.get(partition) ?? -1);
    last.set(partition, Number(offset));
  }
  expect(told.events.some(({ kind }) => kind === 'reset')).toBe(false);
}

const names = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, index) => `k${from + index}`);

describe('real nodes', () => {
  test('leave one after another while others write', async () => {
    const { nodes, ports } = await cluster(3);
    const writer = client(ports);
    const told = watcher(client(ports), { prefix: 'k' });
    await told.live();
    let written = 0;
    let over = false;
    const writing = (async () => {
      while (!over) await writer.put(`k${written++}`, 'v');
    })();
    for (const { leave } of nodes.slice(0, 2)) {
      const before = told.events.length;
      await told.many(before + 100);
      await leave();
      await told.many(told.events.length + 100);
    }
    over = true;
    await writing;
    await expect.poll(() => told.lines().length, { timeout: 10_000 }).toBe(written);
    expectAll(told, names(0, written));
  });

  test('break its connections again and again', async () => {
    const { ports } = await cluster(2);
    const wires = await Promise.all(ports.map((port) => wireTo(port)));
    const writer = client(ports);
    const told = watcher(client(wires.map(({ port }) => port)), { prefix: 'k' });
    await told.live();
    let written = 0;
    for (let times = 0; times < 12; times++) {
      const some = Array.from({ length: 50 }, () => writer.put(`k${written++}`, 'v'));
      await told.many(told.events.length + 1 + (times % 7));
      for (const wire of wires) wire.snap();
      await Promise.all(some);
    }
    await expect.poll(() => told.lines().length, { timeout: 20_000 }).toBe(written);
    expectAll(told, names(0, written));
  });

  test('freeze: silence is noticed, and another goes on', async () => {
    const { ports } = await cluster(2);
    const wires = await Promise.all(ports.map((port) => wireTo(port)));
    const writer = client(ports);
    const told = watcher(client(wires.map(({ port }) => port)), { prefix: 'k', silenceMs: 300 });
    await told.live();
    const [frozen] = wires.filter(({ open }) => open > 0);
    frozen?.freeze();
    await Promise.all(names(0, 50).map((key) => writer.put(key, 'v')));
    await expect.poll(() => told.lines().length, { timeout: 10_000 }).toBe(50);
    expectAll(told, names(0, 50));
  });

  test('a state that broke off is told anew, behind a reset', async () => {
    const { ports } = await cluster(1, 1);
    const wire = await wireTo(ports[0] as number);
    const kv = client(ports);
    await kv.batch(names(0, 800).map((key) => ({ op: 'put', key, value: 'x'.repeat(5_000) })));
    let seen = 0;
    const told = watcher(client([wire.port]), { initial: true }, async () => {
      if (++seen === 100) wire.snap();
    });
    await told.live();
    const reset = told.events.findIndex(({ kind }) => kind === 'reset');
    expect(reset).toBeGreaterThanOrEqual(100);
    expect(told.events.slice(reset + 1).filter(({ kind }) => kind === 'put')).toHaveLength(800);
  });
});

describe('silence', () => {
  test('is none of the node’s while the reader is slow', async () => {
    const { port, keyValue } = await node();
    const kv = client([port]);
    const told = watcher(kv, { silenceMs: 100 }, () => later(400));
    await told.live();
    for (const key of names(0, 3)) await kv.put(key, 'v');
    await told.many(4);
    expect(keyValue.watches.asked.length).toBe(1);
  });

  test('heartbeats end it', async () => {
    const { port, requests } = await fake((_, response) => {
      response.writeHead(200, { 'Bitacora-Node': 'fake', 'Content-Type': 'application/x-ndjson' });
      response.write('{"event":"sync","position":"0:1@8f14e45f"}\n');
      const beats = setInterval(() => response.write('{"event":"heartbeat"}\n'), 50);
      response.on('close', () => clearInterval(beats));
    });
    const told = watcher(client([port]), { silenceMs: 300 });
    await told.live();
    await later(900);
    expect(requests).toHaveLength(1);
  });

  test('before the first word counts, too', async () => {
    const silent = await fake(() => undefined);
    const { port } = await node();
    while (silent.requests.length === 0) await watcher(client([silent.port, port]), { silenceMs: 100 }).live();
  });
});

describe('connections', () => {
  test('of watches are not those of requests', async () => {
    const { port } = await node();
    const kv = client([port], { maxSockets: 1 });
    await Promise.all(Array.from({ length: 5 }, () => watcher(kv).live()));
    expect(await kv.get('k')).toBeUndefined();
  });

  test('of many watches are spread over the nodes', async () => {
    const nodes = [await node(), await node()];
    const kv = client(nodes.map(({ port }) => port));
    for (let times = 0; times < 6; times++) await watcher(kv).live();
    expect(nodes.map(({ keyValue }) => keyValue.watches.open)).toEqual([3, 3]);
  });
});
