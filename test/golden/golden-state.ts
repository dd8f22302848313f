/** What a store holds, as lines of test/golden/<n>/state.jsonl: one a checkpoint, a key, a writer, an answer, a fate, a record that was skipped. */
import type { Entry, Partition, SkippedRecord, Store, StoreBatch } from '../../src/ports.ts';

/** A line; `state` says which it is. */
export type StateLine = Readonly<Record<string, unknown>> & { readonly state: string };

/** Without the times at which this node was at the ends of the log, and the log's identity: those are no part of the state. */
export async function stateOf(store: Store, skipped: readonly SkippedRecord[]): Promise<StateLine[]> {
  const lines: StateLine[] = [];
  const unsettled = new Set(await store.unsettled());
  const doubtful = new Set(await store.doubtful());
  for (const [i, { next, entries, logTime, fatesFrom }] of store.checkpoints.entries()) {
    const partition = i as Partition;
    lines.push({ state: 'checkpoint', partition, next, entries, logTime, fatesFrom });
    for (const [writer, mark] of await store.writers(partition)) lines.push({ state: 'writer', partition, writer, ...mark });
    for (const [to, answer] of await store.answers(partition)) lines.push({ state: 'answer', partition, to, ...answer });
    for (const [offset, fate] of await store.fates(partition)) lines.push({ state: 'fate', partition, offset, fate });
  }
  const { entries } = await store.scan({ from: new Uint8Array(0), to: undefined, limit: 100_000, maxBytes: 1e9 });
  for (const { key, entry } of entries) {
    lines.push({ state: 'entry', key, ...plain(entry), doubtful: doubtful.has(key) });
    if (unsettled.has(key) === entry.settled) throw new Error(`${JSON.stringify(key)} is listed wrongly as unsettled, or not listed`);
  }
  for (const { position, reason } of skipped) lines.push({ state: 'skipped', ...position, reason });
  return inOrder(lines);
}

export const inOrder = (lines: readonly StateLine[]): StateLine[] =>
  [...lines].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

function plain({ version, newest, settled, deleted, value, time, expires, id, by, contentType }: Entry): object {
  return { value: Buffer.from(value).toString('base64'), version, newest, settled, deleted, time, expires, id, by, contentType };
}

/** What a batch of one record leaves under its keys, as a line for the record: the state by position. */
export function stepOf({ partition, checkpoint, entries, doubtful }: StoreBatch): StateLine {
  const keys = [...entries].map(([key, entry]) => ({ key, ...(entry === undefined ? { swept: true } : brief(entry, doubtful?.has(key))) }));
  return { state: 'step', partition, next: checkpoint.next, keys };
}

function brief({ version, newest, settled, deleted }: Entry, doubtful = false): object {
  return { version, newest, settled, deleted, doubtful };
}
