/** The services that other tests stand on: they serve, they take hurt as ordered, and they leave nothing behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { freePorts } from './free-ports.ts';
import { type KafkaService, startKafka } from './kafka.ts';
import { serves, startZooKeeper, type ZooKeeperService } from './zookeeper.ts';

function client(brokers: string[], retries = 20): Kafka {
  return new Kafka({ brokers, logLevel: logLevel.NOTHING, requestTimeout: 5000, retry: { retries, maxRetryTime: 500 } });
}

async function createTopic(brokers: string[], topic: string): Promise<void> {
  const admin = client(brokers).admin();
  await admin.connect();
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 1 }] });
  await admin.disconnect();
}

async function produce(brokers: string[], topic: string, value: string): Promise<void> {
  const producer = client(brokers).producer();
  await producer.connect();
  await producer.send({ topic, acks: -1, messages: [{ key: 'k', value }] });
  await producer.disconnect();
}

/** The first `count` values of a topic. */
async function consume(brokers: string[], topic: string, count: number): Promise<string[]> {
  const consumer = client(brokers).consumer({ groupId: `${topic}-${Math.random()}`, maxWaitTimeInMs: 100 });
  const values: string[] = [];
  await consumer.connect();
  try {
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({ eachMessage: async ({ message }) => void values.push(String(message.value)) });
    await vi.waitUntil(() => values.length >= count, { timeout: 20_000 });
    return values;
  } finally {
    await consumer.disconnect();
  }
}

/** Whether a promise is still open after a while: the sign of a frozen server. */
function unansweredAfter(ms: number, promise: Promise<unknown>): Promise<boolean> {
  const open = new Promise<boolean>((resolve) => setTimeout(resolve, ms, true));
  return Promise.race([open, promise.then(() => false)]);
}

test('the shared Kafka and ZooKeeper serve', async () => {
  const admin = client(inject('brokers')).admin();
  await admin.connect();
  expect((await admin.describeCluster()).brokers.length).toBeGreaterThan(0);
  await admin.disconnect();
  const [host, port] = inject('zookeeperHosts').split(/[:,]/) as [string, string];
  await serves(host, Number(port));
});

describe('a Kafka of our own', () => {
  let kafka: KafkaService;
  beforeAll(async () => {
    kafka = await startKafka({ config: { 'message.max.bytes': '2000000' } });
  });
  afterAll(() => kafka?.stop());

  test('takes and gives a record', async () => {
    await createTopic(kafka.brokers, 'given');
    await produce(kafka.brokers, 'given', 'one');
    expect(await consume(kafka.brokers, 'given', 1)).toEqual(['one']);
  });

  test('runs with the settings asked for', async () => {
    const admin = client(kafka.brokers).admin();
    await admin.connect();
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: 4, name: '1', configNames: ['message.max.bytes', 'auto.create.topics.enable'] }],
    });
    await admin.disconnect();
    const settings = Object.fromEntries(resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]) ?? []);
    expect(settings).toEqual({ 'message.max.bytes': '2000000', 'auto.create.topics.enable': 'false' });
  });

  test('answers nothing while paused, and everything after', async () => {
    await createTopic(kafka.brokers, 'paused');
    await kafka.pause();
    const sent = produce(kafka.brokers, 'paused', 'late');
    expect(await unansweredAfter(700, sent)).toBe(true);
    await kafka.resume();
    await sent;
    expect(await consume(kafka.brokers, 'paused', 1)).toContain('late');
  });

  test('keeps its address and its records when killed and started again', async () => {
    const before = [...kafka.brokers];
    await createTopic(kafka.brokers, 'kept');
    await produce(kafka.brokers, 'kept', 'old');
    await kafka.kill();
    await expect(client(before, 0).admin().connect()).rejects.toThrow();
    await kafka.restart();
    expect(kafka.brokers).toEqual(before);
    await produce(kafka.brokers, 'kept', 'new');
    expect(await consume(kafka.brokers, 'kept', 2)).toEqual(['old', 'new']);
  });

  test('may be stopped twice', async () => {
    await kafka.stop();
    await kafka.stop();
  });
});

describe('a ZooKeeper of our own', () => {
  let zooKeeper: ZooKeeperService;
  const answers = (): Promise<void> => {
    const [host, port] = zooKeeper.hosts.split(':') as [string, string];
    return serves(host, Number(port));
  };
  beforeAll(async () => {
    zooKeeper = await startZooKeeper();
  });
  afterAll(() => zooKeeper?.stop());

  test('answers nothing while paused, and everything after', async () => {
    await zooKeeper.pause();
    const asked = answers();
    expect(await unansweredAfter(500, asked)).toBe(true);
    await zooKeeper.resume();
    await asked;
  });

  test('keeps its address when killed and started again', async () => {
    const { hosts } = zooKeeper;
    await zooKeeper.kill();
    await expect(answers()).rejects.toThrow();
    await zooKeeper.restart();
    expect(zooKeeper.hosts).toBe(hosts);
    await answers();
  });
});

test('a guardian ends its child and deletes its directory when the test process is killed', async () => {
  // Stands for a server: prints its pid and would run for ever.
  const directory = await mkdtemp(join(tmpdir(), 'bitacora-test-guardian-'));
  const log = join(directory, 'child.log');
  const script = `
    const { spawn } = require('node:child_process');
    const guardian = spawn(process.execPath, [${JSON.stringify(join(import.meta.dirname, 'guardian.mjs'))}, ${JSON.stringify(JSON.stringify({ directory }))}], { detached: true, stdio: ['pipe', 'inherit', 'inherit'] });
    guardian.stdin.write(JSON.stringify({ start: { command: process.execPath, args: ['-e', 'setInterval(() => {}, 1000)'], log: ${JSON.stringify(log)} } }) + '\\n');`;
  const testProcess = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [line] = (await once(createInterface({ input: testProcess.stdout }), 'line')) as [string];
    const { pid } = JSON.parse(line) as { pid: number };
    expect(isAlive(pid)).toBe(true);
    testProcess.kill('SIGKILL');
    await vi.waitUntil(() => !isAlive(pid), { timeout: 10_000 });
    await vi.waitFor(() => expect(readdir(directory)).rejects.toThrow('ENOENT'), { timeout: 10_000 });
  } finally {
    testProcess.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  }
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('free ports are different and below the range of outgoing connections', async () => {
  const ports = await freePorts(20);
  expect(new Set(ports).size).toBe(20);
  expect(Math.max(...ports)).toBeLessThan(32_768);
});
