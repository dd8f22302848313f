/** The past of a key on real Kafka: all of it at first, after restarts too; after a compaction what is left, with its horizon. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type KafkaService, startKafka } from '../services/kafka.ts';
import { call } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { createTopic, newName, withAdmin } from './cluster.ts';
import { type NodeProcess, newPlace, startNode } from './node-process.ts';
import { until } from './until.ts';
import { v1Get, v1Put, versionIn } from './v1-calls.ts';

let kafka: KafkaService;
beforeAll(async () => {
  // A broker that compacts soon after it may.
  kafka = await startKafka({ config: { 'log.cleaner.backoff.ms': '200', 'log.retention.check.interval.ms': '1000' } });
});
afterAll(async () => {
  await cleanUp();
  await kafka?.stop();
});

const usual = {
  'cleanup.policy': 'compact',
  'message.timestamp.type': 'LogAppendTime',
  'min.compaction.lag.ms': '3600000',
  'delete.retention.ms': '604800000',
};
const compacting = { ...usual, 'min.compaction.lag.ms': '0', 'min.cleanable.dirty.ratio': '0.001', 'segment.ms': '200' };

const alterTopic = (topic: string, settings: Readonly<Record<string, string>>): Promise<unknown> => {
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
  return withAdmin(kafka.brokers, (admin) =>
    admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: topic, configEntries }] }),
  );
};

interface Told {
  readonly versions: readonly { readonly version: string; readonly op: string; readonly value?: string; readonly time: string }[];
  readonly complete_since: { readonly position: string; readonly time: string | null };
  readonly cursor: string | null;
}

const history = async ({ url }: NodeProcess, query = ''): Promise<Told> => {
  const answer = await call(url, 'GET', `/v1/history/k${query}`);
  expect(answer.status, answer.body).toBe(200);
  return JSON.parse(answer.body) as Told;
};
const linesOf = ({ versions }: Told): string[] => versions.map(({ version, op, value }) => `${version} ${op} ${value ?? ''}`.trim());
const offsetOf = (version: string): number => Number(version.split(':')[1]);

async function expectAt(node: NodeProcess, version: string, value: string | undefined): Promise<void> {
  const answer = await v1Get(node, 'k', `?at=${version}`);
  expect([version, answer.status, answer.status === 200 ? answer.body : undefined]).toEqual([
    version,
    value === undefined ? 404 : 200,
    value,
  ]);
}

test('whole at first, after kill -9 and on a fresh node; what is left after a forced compaction, and 410 below the horizon', async () => {
  const topic = newName('history');
  await createTopic(kafka.brokers, topic, 1, usual);
  const settings = { BROKER_LIST: kafka.brokers.join(','), KAFKA_TOPIC: topic, PARTITIONS: '1' };
  let node = startNode(await newPlace(), settings);
  await node.ready();

  const written: { version: string; value: string | undefined }[] = [];
  for (let i = 1; i <= 20; i++) {
    const last = written.at(-1);
    const headers: Record<string, string> = i % 3 === 0 && last?.value !== undefined ? { 'if-match': `"${last.version}"` } : {};
    const isDelete = i % 7 === 0;
    const answer = isDelete ? await call(node.url, 'DELETE', '/v1/kv/k', { headers }) : await v1Put(node, 'k', String(i), headers);
    expect(answer.status).toBe(isDelete ? 204 : 200);
    const { version } = isDelete
      ? { version: String(answer.headers['bitacora-position']).split('@')[0] as string }
      : { version: versionIn(answer) as string };
    written.push({ version, value: isDelete ? undefined : String(i) });
    // In the way of nobody: a write whose condition fails has no place in a history.
    expect((await v1Put(node, 'k', 'refused', { 'if-match': '"0:0"' })).status).toBe(412);
    await v1Put(node, 'other', String(i));
  }
  const expected = written.map(({ version, value }) => `${version} ${value === undefined ? 'delete' : `put ${value}`}`).reverse();
  const wholeAt = async (asked: NodeProcess): Promise<void> => {
    const told = await history(asked);
    expect(linesOf(told)).toEqual(expected);
    expect([told.complete_since.position, told.cursor]).toEqual(['0:0', null]);
    for (const { version, value } of written) await expectAt(asked, version, value);
  };
  await wholeAt(node);
  await node.end('SIGKILL');
  node = startNode(node, settings);
  await node.ready();
  await wholeAt(node);
  const fresh = startNode(await newPlace(), settings);
  await fresh.ready();
  await wholeAt(fresh);

  await alterTopic(topic, compacting);
  const last = written.at(-1) as { version: string };
  await until(
    'Kafka has compacted the topic',
    async () => {
      await v1Put(node, 'other', 'x');
      return linesOf(await history(node)).length === 1;
    },
    90_000,
  );
  await alterTopic(topic, usual);
  const newer: string[] = [];
  for (const value of ['a', 'b', 'c']) newer.push(versionIn(await v1Put(node, 'k', value)) as string);
  const checkLeft = async (asked: NodeProcess): Promise<void> => {
    const left = await history(asked);
    expect(linesOf(left).slice(0, 3)).toEqual([`${newer[2]} put c`, `${newer[1]} put b`, `${newer[0]} put a`]);
    // What is told from before the horizon was written so, and the newest of it is there.
    expect(linesOf(left)[3]).toBe(expected[0]);
    for (const line of linesOf(left).slice(3)) expect(expected).toContain(line);
    expect(linesOf(left).length).toBeLessThan(expected.length);
    const horizon = offsetOf(left.complete_since.position);
    expect(horizon).toBeGreaterThanOrEqual(offsetOf(last.version));
    expect(horizon).toBeLessThanOrEqual(offsetOf(newer[0] as string));
    expect(linesOf(await history(asked, `?since=${newer[0]}`))).toHaveLength(3);
    const below = await call(asked.url, 'GET', `/v1/history/k?since=${written[0]?.version}`);
    expect([below.status, JSON.parse(below.body)]).toMatchObject([410, { code: 'history-compacted' }]);
    await expectAt(asked, newer[0] as string, 'a');
    for (const { version } of written.slice(0, -1)) expect((await v1Get(asked, 'k', `?at=${version}`)).status).toBe(410);
  };
  await checkLeft(node);
  await node.end('SIGTERM');
  node = startNode(node, settings);
  await node.ready();
  await checkLeft(node);

  // The way back, over the wire: to what is known, and not to what is not.
  expect((await call(node.url, 'POST', `/v1/revert/k?at=${written[2]?.version}`)).status).toBe(410);
  const back = await call(node.url, 'POST', `/v1/revert/k?at=${newer[1]}`);
  expect(back.status, back.body).toBe(200);
  expect((await v1Get(fresh, 'k', '?consistency=latest')).body).toBe('b');
}, 240_000);
