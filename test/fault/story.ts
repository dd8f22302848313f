/** Histories made by hand: a log, and what callers were told, in few words. Every request takes one millisecond, one after the other. */
import { genesisKey } from '../../src/core/keys.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import type { HeardEvent, Held, History, LoggedRecord, Operation, WatchHistory } from './history.ts';

const partitions = 1;
const name = 'abcdef12';

export class Story {
  #time = 1_000;
  readonly #log: LoggedRecord[] = [];
  readonly #operations: Operation[] = [];
  readonly #watches: WatchHistory[] = [];
  readonly #held: Held[] = [];

  constructor() {
    this.record(genesisKey, `${name}-0000-4000-8000-000000000000`, { op: 'c', if: 'absent' });
  }

  get history(): History {
    return {
      partitions,
      lagMs: 3_600_000,
      skewMs: 0,
      oldEnds: false,
      compacted: false,
      operations: this.#operations,
      watches: this.#watches,
      log: this.#log,
      held: this.#held,
      troubles: [],
    };
  }

  /** Time passes. */
  later(ms: number): this {
    this.#time += ms;
    return this;
  }

  get time(): number {
    return this.#time;
  }

  /** The token of who has seen all up to a version. */
  token(version: string): string {
    return `${version}@${name}`;
  }

  get end(): string {
    return this.token(`0:${this.#log.length - 1}`);
  }

  /** A record in the log that nobody was told of; returns its version. */
  record(key: string, value: string | null, headers: Record<string, string> = {}): string {
    const partition = partitionOf(Buffer.from(key), partitions);
    const offset = this.#log.length;
    this.#log.push({ partition, offset, time: this.#time, key, value, headers });
    return `${partition}:${offset}`;
  }

  /** An operation as given; what is left out is that of a put that is done. */
  told(operation: Partial<Operation> & Pick<Operation, 'key'>): this {
    const began = this.#time;
    this.#time += 1;
    this.#operations.push({ client: 'c', node: 'n', kind: 'put', began, ended: this.#time, outcome: 'ok', status: 200, ...operation });
    this.#time += 1;
    return this;
  }

  /** A put that is in the log and was acknowledged; returns its version. */
  put(key: string, value: string, more: Partial<Operation> = {}): string {
    const { condition, idempotencyKey } = more;
    const wanted = condition?.startsWith('0:') === true ? condition.slice(2) : condition;
    const version = this.record(key, value, {
      ...(wanted === undefined ? {} : { op: 'c', if: wanted }),
      ...(idempotencyKey === undefined ? {} : { ik: idempotencyKey }),
    });
    this.told({ key, value, version, position: this.token(version), ...more });
    return version;
  }

  /** A delete that is in the log and was acknowledged. */
  delete(key: string): string {
    const version = this.record(key, '', { op: 'd' });
    this.told({ kind: 'delete', key, position: this.token(version) });
    return version;
  }

  /** A read that found something, or nothing, and reflects all up to a place. */
  get(
    key: string,
    found: { readonly value: string; readonly version: string } | undefined,
    reflects: string,
    more: Partial<Operation> = {},
  ): this {
    const what = found === undefined ? { status: 404 } : { found: found.value, version: found.version };
    return this.told({ kind: 'get', key, consistency: 'local', position: this.token(reflects), ...what, ...more });
  }

  hold(node: string, key: string, found?: { readonly value: string; readonly version: string }): this {
    this.#held.push({ node, key, at: this.#time, status: found === undefined ? 404 : 200, ...found });
    return this;
  }

  watch(...events: readonly HeardEvent[]): this {
    this.#watches.push({ name: 'w', prefix: 'k/', initial: false, connections: [{ from: '', events }] });
    return this;
  }

  sync(version: string): HeardEvent {
    return { event: 'sync', id: this.token(version), data: { position: this.token(version) } };
  }

  event(event: 'put' | 'delete', key: string, version: string, value?: string): HeardEvent {
    return { event, id: this.token(version), data: { key, version, ...(value === undefined ? {} : { value }) } };
  }
}
