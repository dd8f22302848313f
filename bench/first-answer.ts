/**
 * How long a node that has nothing is of no use: from the start of its process to the first correct answers, beside the time to ready, on a
 * topic of 1,000,000 records and with one other node that has them. Once with that node's store to be had, once without it, so that the log
 * must be read. `RECORDS=100000` for a quick look.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { partitionOf } from '../src/core/partitioner.ts';
import type { KafkaService } from '../test/services/kafka.ts';
import { type NodeProcess, startNodeProcess } from './node-process.ts';
import { line, median, ratio } from './report.ts';
import { fill, keyOf, records, rounds, settings } from './restore.ts';

const partitions = 8;
const keysPerPartition = 2;
/** Whichever is longer. */
const allowedMs = (readyMs: number): number => Math.max(2_000, readyMs / 10);

export async function benchFirstAnswer(kafka: KafkaService): Promise<void> {
  const topic = `bench-first-answer-${randomUUID().slice(0, 8)}`;
  await fill(kafka, topic);
  line(`${records} records in the topic; group.initial.rebalance.delay.ms is 0 here`);
  const data = mkdtempSync(join(tmpdir(), 'bitacora-bench-'));
  const place = (name: string): Record<string, string> => settings(kafka, topic, join(data, name));
  try {
    for (const way of [
      { name: 'seeded by the other node', giver: {}, event: 'seed.taken' },
      { name: 'restored from the log', giver: { BITACORA_SEED_RATE: '0' }, event: undefined },
    ]) {
      const other = await startNodeProcess({ ...place('other'), ...way.giver });
      await other.until('node.ready');
      try {
        const told = await answersOf(other.url);
        if (told.some(({ key, status }) => status !== (key === absent ? 404 : 200)))
          throw new Error('the other node does not know its keys');
        const starts: Start[] = [];
        for (let round = 0; round < rounds; round++) {
          rmSync(join(data, 'empty'), { recursive: true, force: true });
          starts.push(await startOf({ ...place('empty'), BITACORA_MEMBERS: `127.0.0.1:${other.port}` }, told, way.event));
        }
        report(way.name, starts);
      } finally {
        await other.end('SIGTERM');
      }
    }
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}

/** Milliseconds from the start of the process. */
interface Start {
  /** Any question was answered, in whatever way. */
  readonly listening: number;
  /** A key that exists was answered correctly. */
  readonly first: number;
  /** All that are asked for were, side by side. */
  readonly all: number;
  readonly ready: number;
}

function report(name: string, starts: readonly Start[]): void {
  const ms = (part: keyof Start): string => starts.map((start) => Math.round(start[part])).join(', ');
  line(`${name}, ms from the start: answers ${ms('listening')}; one key ${ms('first')}; all keys ${ms('all')}; ready ${ms('ready')}`);
  const [all, ready] = [median(starts.map((start) => start.all)), median(starts.map((start) => start.ready))];
  ratio(`${name}: what is allowed (2 s, or a tenth of the time to ready) / time to the first correct answers`, allowedMs(ready) / all, 1);
}

async function startOf(env: Readonly<Record<string, string>>, told: readonly Answer[], event: string | undefined): Promise<Start> {
  const began = performance.now();
  const since = (): number => performance.now() - began;
  const node = await startNodeProcess(env);
  try {
    const readyAt = node.until('node.ready').then(since);
    // Whoever waits for it hears of it, but not before the questions are over.
    readyAt.catch(() => undefined);
    const { listening, first, all } = await asked(node, told, since);
    const ready = await readyAt;
    if (event !== undefined && (await Promise.race([node.until(event), pause(0)])) === undefined) throw new Error(`no ${event} was told`);
    return { listening, first, all, ready };
  } finally {
    await node.end('SIGKILL');
  }
}

async function asked(node: NodeProcess, told: readonly Answer[], since: () => number): Promise<Omit<Start, 'ready'>> {
  let [listening, first] = [Number.NaN, Number.NaN];
  for (;;) {
    if (since() > 300_000) throw new Error('no correct answer in 300 s');
    const answers = await answersOf(node.url).catch(() => undefined);
    if (answers === undefined) {
      // Nobody listens yet.
      await pause(5);
      continue;
    }
    if (Number.isNaN(listening)) listening = since();
    const right = answers.filter((answer, i) => isSame(answer, told[i]!));
    if (Number.isNaN(first) && right.some(({ key }) => key !== absent)) first = since();
    if (right.length === told.length) return { listening, first, all: since() };
    await pause(5);
  }
}

interface Answer {
  readonly key: string;
  readonly status: number;
  readonly version: string | null;
  readonly body: string;
}

/**
 * As a wrong answer must not pass for a right one, the version is compared too (its log a node that restores may not know yet); of what is
 * absent only that it is.
 */
function isSame(one: Answer, other: Answer): boolean {
  if (one.key === absent) return one.status === 404 && other.status === 404;
  return one.status === 200 && one.version === other.version && one.body === other.body;
}

const absent = 'key-that-was-never-written';

/** Some keys of every partition, from all over the topic, and one that does not exist. */
const wanted: readonly string[] = (() => {
  const left = new Map(Array.from({ length: partitions }, (_, partition) => [partition, keysPerPartition]));
  const keys: string[] = [];
  for (let i = 0; keys.length < partitions * keysPerPartition; i++) {
    const key = keyOf(Math.floor((i * 7_919) % records));
    const partition = partitionOf(Buffer.from(key), partitions);
    const more = left.get(partition) ?? 0;
    if (more === 0) continue;
    left.set(partition, more - 1);
    keys.push(key);
  }
  return [...keys, absent];
})();

/** Rejects when the node cannot be reached. */
function answersOf(url: string): Promise<Answer[]> {
  return Promise.all(
    wanted.map(async (key) => {
      const response = await fetch(`${url}/v1/kv/${key}`, { signal: AbortSignal.timeout(10_000) });
      return {
        key,
        status: response.status,
        version: response.headers.get('etag')?.replace(/@[0-9a-f]+/, '') ?? null,
        body: await response.text(),
      };
    }),
  );
}
