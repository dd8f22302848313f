/** The golden topics: what is in test/golden/<n>/topic.jsonl, and how it is put into a log of any kind. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Log, Millis, NewRecord, Partition } from '../../src/ports.ts';
import type { GoldenClock } from './golden-clock.ts';

/** The first line. */
export interface TopicHead {
  readonly topic: string;
  readonly partitions: number;
  readonly compaction_lag_ms: number;
  readonly delete_retention_ms: number;
  /** When the topic was compacted, and the node that made the golden store was running. */
  readonly now: number;
}

/** Every other line: a record in its place. */
export interface TopicLine {
  readonly partition: number;
  readonly offset: number;
  readonly time: number;
  /** Base64, as the value and the values of the headers. */
  readonly key: string;
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
  /** What it shows. */
  readonly what: string;
  /** A second part: written while no node was running, and compacted before one read it. */
  readonly late?: true;
  /** Compaction has removed it. */
  readonly compacted?: true;
}

export interface GoldenTopic {
  readonly head: TopicHead;
  readonly lines: readonly TopicLine[];
}

/** The names of all goldens. */
export const goldens: readonly string[] = readdirSync(import.meta.dirname, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

export const folderOf = (golden: string): string => join(import.meta.dirname, golden);

/** The lines of one of a golden's files, parsed. */
export const linesIn = (golden: string, file: string): unknown[] =>
  readFileSync(join(folderOf(golden), file), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);

export function topicOf(golden: string): GoldenTopic {
  const [head, ...lines] = linesIn(golden, 'topic.jsonl') as [TopicHead, ...TopicLine[]];
  return { head, lines };
}

export function recordOf({ key, value, headers }: TopicLine): NewRecord {
  return {
    key: Buffer.from(key, 'base64'),
    value: value === null ? null : Buffer.from(value, 'base64'),
    headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text, 'base64')])),
  };
}

/** Appends a part of the topic, each record at its time and in its place. */
export async function feed(log: Log, clock: GoldenClock, { head, lines }: GoldenTopic, part: 'early' | 'late'): Promise<void> {
  for (const line of lines) {
    if ((line.late === true) !== (part === 'late')) continue;
    clock.at = line.time as Millis;
    const { offset } = await log.append(line.partition as Partition, recordOf(line));
    if (offset !== line.offset) throw new Error(`${line.what}: at ${offset}, not at ${line.offset}`);
  }
  clock.at = head.now as Millis;
}

/** A record of a topic or a log, to be compared. */
type Held = Pick<TopicLine, 'partition' | 'offset' | 'time' | 'key' | 'value' | 'headers'>;

const inOrder = (records: Held[]): Held[] => records.sort((a, b) => a.partition - b.partition || a.offset - b.offset);

/** What compaction has left of the topic. */
export const leftOf = ({ lines }: GoldenTopic): Held[] =>
  inOrder(
    lines
      .filter(({ compacted }) => compacted !== true)
      .map(({ partition, offset, time, key, value, headers }) => ({ partition, offset, time, key, value, headers })),
  );

/** What is in a log. */
export async function contentsOf(log: Log): Promise<Held[]> {
  const held: Held[] = [];
  for (const [i, { first, next }] of (await log.bounds()).entries()) {
    const partition = i as Partition;
    for await (const { records } of log.read({ partition, from: first, to: next })) {
      for (const { offset, time, key, value, headers = {} } of records) {
        const texts = Object.entries(headers).map(([name, bytes]) => [name, base64(bytes as Uint8Array)]);
        const place = { partition, offset, time, key: key === null ? '' : base64(key) };
        held.push({ ...place, value: value === null ? null : base64(value), headers: Object.fromEntries(texts) });
      }
    }
  }
  return inOrder(held);
}

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
