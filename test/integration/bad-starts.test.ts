/** Starts that cannot be: one line on stderr that names the thing and the way out, an exit code that is not 0, in bounded time. */
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, expect, inject, test } from 'vitest';
import { get, put } from './calls.ts';
import { atCleanUp, cleanUp } from './clean-up.ts';
import { createTopic, newName, withAdmin } from './cluster.ts';
import { type Environment, newPlace, type Place, startNode } from './node-process.ts';

afterAll(cleanUp);

const memory = { LOG: 'memory' };

interface End {
  readonly code: number | null;
  readonly line: string;
}

/** How a start ended; fails when what it said on stderr is not one line. */
async function failedStart(place: Place, settings: Environment, flags: readonly string[] = []): Promise<End> {
  const began = performance.now();
  const node = startNode(place, settings, flags);
  const { code } = await node.exit;
  expect(performance.now() - began).toBeLessThan(20_000);
  expect(node.errors()).toMatch(/^bitacora: [^\n]+\n$/);
  expect(node.errors()).not.toMatch(/\n\s+at /);
  return { code, line: node.errors() };
}

test.each(['API_PORT', 'AVRO_PORT'] as const)('the port is taken: %s', async (setting) => {
  const place = await newPlace();
  const port = setting === 'API_PORT' ? place.port : place.avroPort;
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  atCleanUp(() => server.close());
  const { code, line } = await failedStart(place, memory);
  expect(code).toBe(1);
  expect(line).toContain(`port ${port} is taken`);
  expect(line).toContain(`choose another ${setting}`);
});

test('the data directory is used by another node', async () => {
  const place = await newPlace();
  const holder = startNode(place, {});
  await holder.ready();
  const other = await newPlace();
  const data = join(place.directory, 'data');
  const { code, line } = await failedStart(other, { BITACORA_DATA_DIR: data });
  expect(code).toBe(1);
  expect(line).toContain('directory-locked');
  expect(line).toContain(data);
  expect(line).toContain(String(holder.pid));
  expect((await put(holder, 'still', 'well')).status).toBe(200);
});

test('the data directory cannot be written', async () => {
  // A path below a file: not even root can write there.
  const place = await newPlace();
  const file = join(place.directory, 'a-file');
  await writeFile(file, '');
  const { code, line } = await failedStart(place, { BITACORA_DATA_DIR: join(file, 'data') });
  expect(code).toBe(1);
  expect(line).toContain('directory-unusable');
  expect(line).toContain(join(file, 'data'));
});

test('an unknown setting: as a flag, as a variable, in the config file', async () => {
  const place = await newPlace();
  const flag = await failedStart(place, memory, ['--kafka-topik', 'x']);
  expect(flag).toEqual({ code: 2, line: expect.stringMatching(/--kafka-topik; did you mean --kafka-topic\?/) });
  const variable = await failedStart(place, { ...memory, BITACORA_PEER_REEDS: 'never' });
  expect(variable).toEqual({ code: 2, line: expect.stringMatching(/BITACORA_PEER_REEDS; did you mean BITACORA_PEER_READS\?/) });
  const config = join(place.directory, 'config.yaml');
  await writeFile(config, 'api.porto: 1234\n');
  const file = await failedStart(place, memory, ['--config', config]);
  expect(file).toEqual({ code: 2, line: expect.stringMatching(/api\.porto in .*; did you mean api\.port\?/) });
  const impossible = await failedStart(place, { ...memory, PEER_READS: 'sometimes' });
  expect(impossible).toEqual({ code: 2, line: expect.stringMatching(/PEER_READS.*sometimes.*always, behind, never/) });
});

async function makeTopic(config: Readonly<Record<string, string>>, partitions = 2): Promise<string> {
  const topic = newName('bad');
  await createTopic(inject('brokers'), topic, partitions, config);
  return topic;
}

const onKafka = (topic: string): Environment => ({ BROKER_LIST: inject('brokers').join(','), KAFKA_TOPIC: topic });

test.each([
  { what: 'cleanup.policy=delete', config: { 'cleanup.policy': 'delete' }, mend: 'cleanup.policy=compact' },
  { what: 'compact and delete', config: { 'cleanup.policy': 'compact,delete' }, mend: 'cleanup.policy=compact' },
  {
    what: 'unclean leader election',
    config: { 'cleanup.policy': 'compact', 'unclean.leader.election.enable': 'true' },
    mend: 'unclean.leader.election.enable=false',
  },
])('a topic that would lose data: $what', async ({ config, mend }) => {
  const topic = await makeTopic(config);
  const { code, line } = await failedStart(await newPlace(), onKafka(topic));
  expect(code).toBe(1);
  expect(line).toContain('topic-unusable');
  expect(line).toContain(topic);
  expect(line).toContain('kafka-configs.sh');
  expect(line).toContain(mend);
});

test('a topic that is missing and may not be made', async () => {
  const topic = newName('missing');
  const { code, line } = await failedStart(await newPlace(), { ...onKafka(topic), BITACORA_KAFKA_TOPIC_CREATE: 'false' });
  expect(code).toBe(1);
  expect(line).toContain(`kafka-topics.sh --bootstrap-server ${inject('brokers').join(',')} --create --topic ${topic}`);
});

test('a topic whose partition count changed under an existing store', async () => {
  const topic = await makeTopic({
    'cleanup.policy': 'compact',
    'message.timestamp.type': 'LogAppendTime',
    'min.compaction.lag.ms': '3600000',
  });
  const place = await newPlace();
  const node = startNode(place, onKafka(topic));
  await node.ready();
  await put(node, 'k', 'v');
  await node.end();
  await withAdmin(inject('brokers'), (admin) => admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] }));
  const { code, line } = await failedStart(place, onKafka(topic));
  expect(code).toBe(1);
  expect(line).toMatch(/has 3 partitions, the store was made from 2/);
  expect(line).toContain(topic);
});

test('a topic with CreateTime is served, with a warning that says how to mend it', async () => {
  const topic = await makeTopic({ 'cleanup.policy': 'compact', 'min.compaction.lag.ms': '3600000' });
  const node = startNode(await newPlace(), onKafka(topic));
  await node.ready();
  const warning = await node.said('topic.unwise');
  expect(warning.level).toBe('warn');
  expect(warning['settings']).toEqual(['message.timestamp.type']);
  expect(warning['mend']).toContain(`--alter --topic ${topic} --add-config message.timestamp.type=LogAppendTime`);
  expect((await put(node, 'k', 'v')).status).toBe(200);
  expect((await get(node, 'k')).status).toBe(200);
});
