/**
 * Watches: between resets the events are exactly the writes that had their effect, in the log's order within a partition, each once; and a
 * state that is told is that of its `sync`.
 */

import { parsePosition } from '../../src/core/position.ts';
import type { Position } from '../../src/ports.ts';
import type { HeardEvent, History, Violation, WatchHistory } from './history.ts';
import { fits, seenIn, type WholeLog } from './truth.ts';

export function checkWatches({ watches, skewMs }: History, log: WholeLog): Violation[] {
  return watches.flatMap((watch) => new Hearing(watch, log, skewMs).check());
}

class Hearing {
  readonly #watch: WatchHistory;
  readonly #log: WholeLog;
  readonly #skewMs: number;
  readonly #violations: Violation[] = [];
  /** By partition: all up to here has been told; undefined: the beginning is not known. */
  #until: number[] | undefined;
  /** The state that is being told, by key; undefined: none is. */
  #state: Map<string, HeardEvent> | undefined;

  constructor(watch: WatchHistory, log: WholeLog, skewMs: number) {
    this.#watch = watch;
    this.#log = log;
    this.#skewMs = skewMs;
  }

  check(): Violation[] {
    for (const { from, events } of this.#watch.connections) {
      // Without an id nothing was told before that it could go on from.
      if (from === '') {
        this.#until = undefined;
        this.#state = this.#watch.initial ? new Map() : undefined;
      }
      for (const event of events) this.#take(event);
    }
    if (this.#until === undefined || this.#state !== undefined) this.#wrong('a watcher was not told a state to its end', '');
    else for (const [partition, oracle] of this.#log.oracles.entries()) this.#missed(partition, oracle.next, 'the end');
    return this.#violations;
  }

  #wants(key: string): boolean {
    const { key: only, prefix } = this.#watch;
    return only === undefined ? key.startsWith(prefix) : key === only;
  }

  #wrong(rule: string, detail: string): void {
    this.#violations.push({ rule, detail: `watcher ${this.#watch.name}: ${detail}` });
  }

  #take(event: HeardEvent): void {
    if (event.event === 'reset') this.#state = new Map();
    else if (event.event === 'sync') this.#sync(String(event.data['position']));
    else if (event.event === 'put' || event.event === 'delete') this.#change(event);
    else this.#wrong('a watcher was told what it does not know', JSON.stringify(event));
  }

  #sync(token: string): void {
    const told = this.#log.oracles.map((_, partition) => seenIn(token, partition));
    if (this.#state !== undefined) this.#checkState(this.#state, told, token);
    else if (this.#until !== undefined)
      for (const [partition, offset] of told.entries()) this.#missed(partition, offset + 1, `sync ${token}`);
    const before = this.#state === undefined ? this.#until : undefined;
    this.#until = told.map((offset, partition) => Math.max(offset, before?.[partition] ?? -1));
    this.#state = undefined;
  }

  /** Everything before `next` must have been told. */
  #missed(partition: number, next: number, at: string): void {
    const [missed] = this.#log.oracles[partition]?.accepted((key) => this.#wants(key), (this.#until?.[partition] ?? -1) + 1, next) ?? [];
    if (missed === undefined) return;
    this.#wrong('a watcher was not told of a write', `${missed.key} at ${partition}:${missed.record.offset}, before ${at}`);
  }

  #change(event: HeardEvent): void {
    const key = String(event.data['key']);
    const position = parsePosition(String(event.data['version']));
    const accepted = this.#log.oracles[position?.partition ?? -1]?.acceptedAt(position?.offset ?? -1);
    const isSame =
      accepted?.key === key &&
      this.#wants(key) &&
      accepted.truth.deleted === (event.event === 'delete') &&
      (accepted.truth.deleted || accepted.truth.value === event.data['value']);
    if (!isSame) this.#wrong('a watcher was told of a write that is none', JSON.stringify(event));
    if (position === undefined) return;
    if (this.#state !== undefined) this.#state.set(key, event);
    else if (this.#until === undefined) this.#wrong('a watcher was told of a write before its beginning', JSON.stringify(event));
    else this.#goOn(position, this.#until);
  }

  #goOn({ partition, offset }: Position, until: number[]): void {
    const { [partition]: before = -1 } = until;
    if (offset <= before) this.#wrong('a watcher was told of a write twice, or too late', `${partition}:${offset} after ${before}`);
    else this.#missed(partition, offset, `${partition}:${offset}`);
    until[partition] = Math.max(offset, before);
  }

  #checkState(state: ReadonlyMap<string, HeardEvent>, told: readonly number[], token: string): void {
    const keys = new Set([...this.#log.records].map(({ key }) => key).filter((key) => this.#wants(key)));
    for (const key of keys) {
      const partition = this.#log.partitionOf(key);
      const truth = this.#log.of(key).at(key, (told[partition] ?? -1) + 1);
      const put = state.get(key);
      const shown = put?.event === 'put' ? { value: String(put.data['value']), version: String(put.data['version']) } : {};
      // What has a deadline was there when the state was told or not: its clock is not known here.
      if (truth.expires !== 0 && put === undefined) continue;
      if (!fits(truth, partition, { ...shown, from: 0, to: Number.MAX_SAFE_INTEGER }, this.#skewMs))
        this.#wrong(
          'a watcher was told another state than that of its sync',
          `${key} at ${token}: ${JSON.stringify(shown)}, not ${JSON.stringify(truth)}`,
        );
    }
  }
}
