/** A reader of a watch that keeps what it was told. */
import { expect, onTestFinished } from 'vitest';
import type { BitacoraSession, ClientError, WatchEvent, WatchOptions } from '../../client/http/index.ts';

export interface Watcher {
  readonly events: WatchEvent[];
  /** Resolves with all events once there are so many. */
  many(count: number): Promise<WatchEvent[]>;
  /** Resolves when the watch is live. */
  live(): Promise<void>;
  /** `put k=v 0:17`, without syncs. */
  lines(): string[];
  /** What the watch ended with; undefined: in order. */
  readonly ended: Promise<ClientError | undefined>;
  leave(): Promise<unknown>;
}

/** Ends with the test. `between` is awaited before each event but the first. */
export function watcher(kv: BitacoraSession, options: WatchOptions = {}, between: () => Promise<void> = async () => undefined): Watcher {
  const events: WatchEvent[] = [];
  const watching = kv.watch(options);
  const read = async (): Promise<undefined> => {
    for await (const event of watching) {
      events.push(event);
      await between();
    }
  };
  const ended = read().catch((error: ClientError) => error);
  onTestFinished(async () => void (await watching.return()));
  const until = (enough: () => boolean) => expect.poll(enough, { timeout: 20_000, interval: 5 }).toBe(true);
  return {
    events,
    async many(count) {
      await until(() => events.length >= count);
      return events;
    },
    live: () => until(() => events.some(({ kind }) => kind === 'sync')),
    lines: () => events.filter(({ kind }) => kind !== 'sync').map(lineOf),
    ended,
    leave: () => watching.return(),
  };
}

export function lineOf(event: WatchEvent): string {
  if (event.kind === 'put') return `put ${event.key}=${event.value}`;
  return event.kind === 'delete' ? `delete ${event.key}` : event.kind;
}
