/** A watch through nginx outlives its node: every acknowledged change once and in order, without a reset. */
import { afterEach, expect, inject, test } from 'vitest';
import { cleanUp } from './clean-up.ts';
import { clusterSettings, startNodes } from './cluster.ts';
import { startNginx } from './nginx.ts';
import { type NodeProcess, startNode } from './node-process.ts';
import { until } from './until.ts';
import { v1Put, versionIn } from './v1-calls.ts';
import { startWatcher, type Watcher } from './watching.ts';

afterEach(cleanUp);

const keys = ['count/a', 'count/b', 'count/c', 'count/d', 'count/e'];

/** Counts keys up, each by one writer, through nodes in turn; what was acknowledged, by key, as `value version`. */
class Writers {
  readonly acknowledged = new Map<string, string[]>();
  /** Values that may be in the log. */
  readonly unknown = new Set<string>();
  readonly #nodes: readonly NodeProcess[];
  #stopped = false;
  readonly #done: Promise<unknown>;

  constructor(nodes: readonly NodeProcess[]) {
    this.#nodes = nodes;
    this.#done = Promise.all(keys.map((key, number) => this.#write(key, number)));
  }

  get count(): number {
    return [...this.acknowledged.values()].reduce((sum, { length }) => sum + length, 0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  async #write(key: string, number: number): Promise<void> {
    const own: string[] = [];
    this.acknowledged.set(key, own);
    for (let value = 1; !this.#stopped; value++) {
      const node = this.#nodes[(value + number) % this.#nodes.length] as NodeProcess;
      const answer = await v1Put(node, key, String(value)).catch(() => undefined);
      if (answer?.status === 200) own.push(`${value} ${versionIn(answer)}`);
      else this.unknown.add(`${key} ${value}`);
    }
  }
}

function toldOf(watcher: Watcher, key: string): { value: string; version: string }[] {
  return watcher.events
    .filter(({ event, data }) => event === 'put' && data['key'] === key)
    .map(({ data }) => ({ value: String(data['value']), version: String(data['version']) }));
}

/** Each acknowledged change once, in the order of the log; beside them only writes whose fate was not known. */
function expectWhole(watcher: Watcher, { acknowledged, unknown }: Writers): void {
  for (const key of keys) {
    const told = toldOf(watcher, key);
    const places = told.map(({ version }) => Number(version.split(':')[1]));
    expect(places).toEqual([...new Set(places)].sort((one, other) => one - other));
    const certain = told.filter(({ value }) => !unknown.has(`${key} ${value}`)).map(({ value, version }) => `${value} ${version}`);
    expect(certain).toEqual(acknowledged.get(key));
  }
}

const lastWas = (watcher: Watcher, key: string, value: string) => toldOf(watcher, key).at(-1)?.value === value;

/** A last write of each key, and all watchers have been told of it. */
async function finish(node: NodeProcess, watchers: readonly Watcher[], writers: Writers): Promise<void> {
  for (const key of keys) {
    const answer = await v1Put(node, key, 'end');
    expect(answer.status).toBe(200);
    writers.acknowledged.get(key)?.push(`end ${versionIn(answer)}`);
  }
  await until('the last is told', () => watchers.every((watcher) => keys.every((key) => lastWas(watcher, key, 'end'))));
}

test('its node is killed, and it goes on at another without gap, duplicate or reset; at a drain too', async () => {
  const settings = { ...clusterSettings(inject('brokers'), inject('zookeeperHosts')), PARTITIONS: '3' };
  const nodes = await startNodes(3, settings);
  const balancer = await startNginx(nodes.map(({ port }) => port));
  const watcher = startWatcher(balancer.url, 'prefix=count/');
  const plainly = startWatcher(balancer.plainUrl, 'prefix=count/');
  const watchers = [watcher, plainly];
  await until('the watches have begun', () => watchers.every(({ events }) => events.some(({ event }) => event === 'sync')));
  // The writers know all nodes, the dead one included.
  const writers = new Writers(nodes);
  await until('some changes', () => writers.count > 200 && watcher.events.length > 150);
  const first = nodes.find(({ address }) => address === watcher.connections[0]?.node) as NodeProcess;
  first.signal('SIGKILL');
  await first.exit;
  await until('it goes on', () => watcher.connections.length === 2 && (watcher.connections[1]?.events.length ?? 0) > 100);
  expect(watcher.connections[1]?.node).not.toBe(first.address);
  expect(watcher.connections[1]?.from).toMatch(/^\d+:\d+.*@[0-9a-f]{8}$/);
  const again = startNode(first, settings);
  nodes[nodes.indexOf(first)] = again;
  await again.ready();

  // And now its second node goes away in order. The one that is back knows what has changed since then.
  const second = nodes.find(({ address }) => address === watcher.connections[1]?.node) as NodeProcess;
  const known = watcher.events.length;
  await until('some changes since it is back', () => watcher.events.length > known + 50);
  const count = watcher.events.length;
  expect((await second.end()).code).toBe(0);
  await until('it goes on again', () => watcher.events.length > count + 100 && watcher.connections.length > 2);
  await writers.stop();
  await finish(nodes.find((node) => node !== second) as NodeProcess, watchers, writers);

  // Who comes back only now, to the node that was restarted since, misses nothing either.
  const late = startWatcher(again.url, `prefix=count/&from=${encodeURIComponent(watcher.connections[1]?.from ?? '')}`);
  await until('the late one is told all', () => keys.every((key) => lastWas(late, key, 'end')));
  const since = watcher.events.slice(watcher.connections[0]?.events.length);
  for (const key of keys) {
    const missed = since.filter(({ event, data }) => event === 'put' && data['key'] === key).map(({ data }) => data['version']);
    expect(toldOf(late, key).map(({ version }) => version)).toEqual(missed);
  }

  for (const each of [...watchers, late]) {
    expect(each.events.filter(({ event }) => event === 'reset')).toEqual([]);
    if (each !== late) expectWhole(each, writers);
  }
  expect(writers.count).toBeGreaterThan(400);
}, 180_000);
