/** Clients find nodes in ZooKeeper and follow them: one that joins gets its share, one that goes away takes no call with it. */
import { afterEach, expect, inject, test } from 'vitest';
import { callsOf, clientOf, uses } from './avro-clients.ts';
import { cleanUp } from './clean-up.ts';
import { clusterSettings, startNodes } from './cluster.ts';
import { inParallel } from './ledger.ts';
import { type NodeProcess, newPlace, startNode } from './node-process.ts';
import { until } from './until.ts';

afterEach(cleanUp);

const keys = Array.from({ length: 600 }, (_, i) => `key-${i}`);

test('a node that joins gets its share; one that is told to go fails no call', async () => {
  const settings = clusterSettings(inject('brokers'), inject('zookeeperHosts'));
  const [one, two] = (await startNodes(2, settings)) as [NodeProcess, NodeProcess];
  const client = await clientOf(settings);
  await uses(client, [one, two]);
  await inParallel(keys, 16, (key) => client.set(key, `value of ${key}`));
  for (const node of [one, two]) expect(await callsOf(node, 'setRecord')).toBeGreaterThan(keys.length / 4);

  const three = startNode(await newPlace(), settings);
  await three.ready();
  await uses(client, [one, two, three]);
  const read = async (key: string) => expect(await client.get(key)).toBe(`value of ${key}`);
  const sharesOfReads = () => Promise.all([one, two, three].map((node) => callsOf(node, 'getRecord')));
  // A server whose first answer was that it is not there yet is asked again within a second; it has its share from then on.
  const joined = 3_000;
  await until(
    'every node has read',
    async () => {
      await inParallel(keys.slice(0, 100), 16, read);
      return Math.min(...(await sharesOfReads())) > 0;
    },
    joined,
  );
  const before = await sharesOfReads();
  await inParallel([...keys, ...keys], 16, read);
  for (const [i, share] of (await sharesOfReads()).entries()) expect(share - (before[i] as number)).toBeGreaterThan(keys.length / 5);

  // While it goes, calls go on: those it has are answered, the others are taken elsewhere.
  let leaving = true;
  let calls = 0;
  const traffic = inParallel(Array.from({ length: 16 }), 16, async () => {
    for (let i = 0; leaving; i++) {
      const key = keys[(i * 7) % keys.length] as string;
      await (i % 4 === 0 ? client.set(key, `value of ${key}`) : read(key));
      calls++;
    }
  });
  traffic.catch(() => undefined);
  await until('calls before it goes', async () => calls > 50);
  expect(await two.end('SIGTERM')).toEqual({ code: 0, signal: null });
  await uses(client, [one, three]);
  const gone = calls;
  await until('calls after it has gone', async () => calls > gone + 50);
  leaving = false;
  await traffic;
}, 120_000);

test('a client that comes before any node waits for one', async () => {
  const settings = clusterSettings(inject('brokers'), inject('zookeeperHosts'));
  const connecting = clientOf(settings, { connectTimeoutMs: 60_000 });
  const [node] = (await startNodes(1, settings)) as [NodeProcess];
  const client = await connecting;
  await client.set('a', 'b');
  expect(await client.get('a')).toBe('b');
  await uses(client, [node]);
}, 120_000);

test('nobody there: the error says what was tried', async () => {
  const settings = clusterSettings(inject('brokers'), inject('zookeeperHosts'));
  const connecting = clientOf(settings, { connectTimeoutMs: 1_500 });
  await expect(connecting).rejects.toMatchObject({ name: 'ClientConnectionError', code: 'connection', retryable: true });
});
