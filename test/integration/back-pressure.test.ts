/** More than the log takes: the node refuses what it has no room for, keeps its memory bounded, and loses nothing that it acknowledged. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type KafkaService, startKafka } from '../services/kafka.ts';
import { type Answer, call, codeIn } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { clusterSettings, startNodes } from './cluster.ts';
import type { NodeProcess } from './node-process.ts';
import { until } from './until.ts';
import { v1Get, v1Put } from './v1-calls.ts';

const mb = 1024 * 1024;
const bodiesBytes = 48 * mb;

let kafka: KafkaService;
beforeAll(async () => {
  kafka = await startKafka();
});
afterAll(async () => {
  await cleanUp();
  await kafka?.stop();
});

async function residentBytes({ pid }: NodeProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

test('a log that takes nothing, under six times as much as may wait: 503 with Retry-After, bounded memory, nothing lost', async () => {
  // Who waits goes on waiting, however slow the machine.
  const settings = {
    ...clusterSettings(kafka.brokers, inject('zookeeperHosts')),
    BITACORA_MAX_BODIES_BYTES: String(bodiesBytes),
    BITACORA_WRITE_TIMEOUT: '20000',
  };
  const [node] = (await startNodes(1, settings)) as [NodeProcess];
  await v1Put(node, 'first', 'v');
  const before = await residentBytes(node);

  await kafka.pause();
  const value = 'x'.repeat(900_000);
  const answers: { readonly key: string; readonly answer: Answer }[] = [];
  let most = 0;
  const callers = Array.from({ length: 320 }, async (_, i) => {
    const key = `large-${i}`;
    answers.push({ key, answer: await v1Put(node, key, value) });
  });
  const all = Promise.all(callers);
  await until('some are refused', async () => {
    most = Math.max(most, await residentBytes(node));
    return answers.some(({ answer }) => answer.status === 503);
  });
  // Reads and probes are answered meanwhile.
  expect((await v1Get(node, 'first')).body).toBe('v');
  expect((await call(node.url, 'GET', '/livez')).status).toBe(200);
  await until('all are answered', async () => {
    most = Math.max(most, await residentBytes(node));
    return answers.length === callers.length;
  });
  await all;
  await kafka.resume();

  const refused = answers.filter(({ answer }) => answer.status === 503);
  for (const { answer } of refused) {
    expect(['overloaded', 'log-unavailable']).toContain(codeIn(answer));
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  }
  expect(refused.filter(({ answer }) => codeIn(answer) === 'overloaded').length).toBeGreaterThan(100);
  expect(new Set(answers.map(({ answer }) => answer.status))).not.toContain(500);
  // Each body is there at most a few times: as it came, as one piece, and as it is sent.
  expect(most - before).toBeLessThan(4 * bodiesBytes);
  process.stdout.write(`320 writes of 0.9 MB: ${refused.length} refused, ${Math.round((most - before) / mb)} MB more resident\n`);

  // Who comes again is served, and what was acknowledged is there.
  await until('it takes writes', async () => (await v1Put(node, 'again', 'v')).status < 300);
  for (const { key } of answers.filter(({ answer }) => answer.status < 300)) expect((await v1Get(node, key)).body).toBe(value);
  for (const { key } of refused) expect((await v1Get(node, key)).status).toBe(404);
}, 120_000);
