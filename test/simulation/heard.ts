/**
 * What one watcher has been told, held against the oracle event by event. Between resets the events of its keys are exactly the accepted
 * writes, in the log's order within a partition; a state, once its `sync` has come, is that of the `sync`.
 *
 * Where it may be resumed is noted as the HTTP face does it: of each partition the furthest place told; nowhere while a state is told.
 */
import { isSystemKey } from '../../src/core/keys.ts';
import type { Partition, Position, WatchEvent } from '../../src/ports.ts';
import { type Accepted, headerOf, type Oracle, type Truth } from './oracle.ts';
import type { World } from './world.ts';

/** What is watched: one key, or all with a prefix. */
export interface Interest {
  readonly key: string | undefined;
  readonly prefix: string;
}

type Put = Extract<WatchEvent, { kind: 'put' }>;
type Told = Exclude<WatchEvent, { kind: 'sync' | 'reset' }>;

/** A state that is being told. */
interface Telling {
  /** Where the node was when it began, by partition: it may tell of nothing older. */
  readonly floor: readonly number[];
  readonly keys: Map<string, Told>;
}

export class Heard {
  readonly interest: Interest;
  readonly #world: World;
  /** By partition: all up to here has been told; undefined: the beginning is not known yet. */
  #until: number[] | undefined;
  /** The newest `sync` since the session or the state began. */
  #synced: readonly number[];
  #telling: Telling | undefined;

  constructor(world: World, interest: Interest) {
    this.#world = world;
    this.interest = interest;
    this.#synced = this.#nothing();
  }

  wants(key: string): boolean {
    if (isSystemKey(key)) return false;
    return this.interest.key === undefined ? key.startsWith(this.interest.prefix) : key === this.interest.key;
  }

  /** Those in which something may be told. */
  get partitions(): readonly Partition[] {
    const { key } = this.interest;
    return key === undefined ? this.#world.oracles.map((_, i) => i as Partition) : [this.#world.partitionOf(key)];
  }

  /** Undefined: there is no place to resume. */
  get positions(): readonly Position[] | undefined {
    if (this.#telling !== undefined) return undefined;
    return this.#until?.flatMap((offset, i) => (offset < 0 ? [] : [{ partition: i as Partition, offset: offset as Position['offset'] }]));
  }

  /** A state was begun and has not been told to its end. */
  get isTelling(): boolean {
    return this.#telling !== undefined;
  }

  /** All of a partition before this has been told. */
  next(partition: Partition): number {
    return (this.#until?.[partition] ?? -1) + 1;
  }

  /** A session begins with a state that is asked for, at a node that has applied so much, and does not know what was told before. */
  beginAnew(applied: readonly number[]): void {
    this.#until = undefined;
    this.#beginState(applied);
  }

  #beginState(applied: readonly number[]): void {
    // While its store is opened again a node does not say where it is.
    this.#telling = { floor: this.#nothing().map((_, i) => applied[i] ?? 0), keys: new Map() };
    this.#synced = this.#nothing();
  }

  /** A session begins that tells what is new to the watcher: from where it was, or, the first time, from what the node has applied on. */
  begin(applied: readonly number[]): void {
    this.#synced = this.#nothing().map((none, i) => (this.#until === undefined ? (applied[i] ?? 0) - 1 : none));
  }

  /** Returns what is wrong with it, if something is. `applied`: what the node that tells it has applied by now. */
  take(event: WatchEvent, applied: readonly number[]): string | undefined {
    switch (event.kind) {
      case 'reset':
        this.#beginState(applied);
        return undefined;
      case 'sync':
        return this.#sync(event.positions);
      default:
        return this.#told(event);
    }
  }

  /** What has not been told though it is in the log. */
  unheard(): string[] {
    if (this.#until === undefined || this.#telling !== undefined) return ['has not been told a state to the end'];
    return this.partitions.flatMap((partition) => this.#between(partition, this.next(partition), this.#oracle(partition).next));
  }

  #told(event: Told): string | undefined {
    const { partition, offset } = event.position;
    const { key } = event;
    if (!this.wants(key) || this.#world.partitionOf(key) !== partition) return `${key} was not asked for`;
    const accepted = this.#oracle(partition).acceptedAt(offset);
    if (accepted?.key !== key) return 'no such write had an effect';
    const wrong = wrongChange(event, accepted);
    if (wrong !== undefined) return wrong;
    if (this.#telling !== undefined) return this.#toldInState(event, this.#telling);
    if (this.#until === undefined) return 'it comes before the first sync';
    const { [partition]: until = -1 } = this.#until;
    if (offset <= until) return `up to ${until} all was told before`;
    const [missed] = this.#between(partition, until + 1, offset);
    this.#until[partition] = offset;
    return missed;
  }

  #toldInState(event: Told, { floor, keys }: Telling): string | undefined {
    const { key, position } = event;
    const oracle = this.#oracle(position.partition);
    const before = keys.get(key);
    keys.set(key, event);
    if (before !== undefined && before.position.offset >= position.offset) return `${before.position.offset} was told before`;
    const since = floor[position.partition] as number;
    const states = oracle.between(key, since, oracle.next);
    return states.some(({ version }) => version === position.offset) ? undefined : `that was over before ${since}`;
  }

  #sync(positions: readonly Position[]): string | undefined {
    const named = this.#nothing();
    for (const { partition, offset } of positions) named[partition] = offset;
    for (const [i, offset] of named.entries()) {
      if (offset >= this.#oracle(i).next) return `${i}:${offset} is not in the log`;
      if (offset < (this.#synced[i] as number)) return `it goes back before ${i}:${this.#synced[i]}`;
    }
    this.#synced = named;
    const telling = this.#telling;
    if (telling !== undefined) return this.#stateTold(telling, named);
    const until = this.#until;
    this.#until = named.map((offset, i) => Math.max(offset, until?.[i] ?? -1));
    if (until === undefined) return undefined;
    return this.partitions.flatMap((partition) => this.#between(partition, (until[partition] as number) + 1, this.next(partition)))[0];
  }

  #stateTold({ floor, keys }: Telling, named: readonly number[]): string | undefined {
    for (const partition of this.partitions) {
      const [least, before] = [(floor[partition] as number) - 1, this.#until?.[partition] ?? -1];
      if ((named[partition] as number) < least) return `the state is older than the reset, which was at ${partition}:${least}`;
      if ((named[partition] as number) < before) return `the state is older than what was told before it, ${partition}:${before}`;
    }
    this.#telling = undefined;
    this.#until = [...named];
    for (const key of this.#world.keys.filter((each) => this.wants(each))) {
      const partition = this.#world.partitionOf(key);
      const next = this.next(partition);
      const told = keys.get(key);
      const truth = this.#oracle(partition).at(key, next);
      if (!this.#isStateOf(told, truth))
        return `${key} was told as ${said(told)}, at ${partition}:${next - 1} it is ${JSON.stringify(truth)}`;
    }
    return undefined;
  }

  /** What is past its deadline may be told or left out: it is the reader who looks at the clock, and that of a node may be wrong. */
  #isStateOf(told: Told | undefined, truth: Truth): boolean {
    const latest = this.#world.clock.now() + this.#world.options.skewMs;
    if (told?.kind === 'put' && told.position.offset === truth.version) return true;
    const toldIsGone = told?.kind !== 'put' || (told.found.expires !== 0 && told.found.expires <= latest);
    return toldIsGone && (truth.deleted || (truth.expires !== 0 && truth.expires <= latest));
  }

  #between(partition: number, from: number, to: number): string[] {
    const missed = this.#oracle(partition).accepted((key) => this.wants(key), from, to);
    return missed.map(({ key, record }) => `${key} of ${partition}:${record.offset} was not told`);
  }

  #oracle(partition: number): Oracle {
    return this.#world.oracles[partition] as Oracle;
  }

  #nothing(): number[] {
    return this.#world.oracles.map(() => -1);
  }
}

/** An event in words. */
export function said(event: WatchEvent | undefined): string {
  if (event === undefined || event.kind === 'reset') return event?.kind ?? 'nothing';
  if (event.kind === 'sync') return `sync ${event.positions.map(({ partition, offset }) => `${partition}:${offset}`).join()}`;
  const { partition, offset } = event.position;
  return `${event.kind} ${event.key} ${partition}:${offset}`;
}

function wrongChange(event: Told, { record, truth }: Accepted): string | undefined {
  if ((event.kind === 'delete') !== truth.deleted) return 'a put is no delete';
  if (event.kind === 'delete') return event.time === record.time ? undefined : 'its time is another';
  return isSame(event, truth) && event.found.time === record.time && event.found.id === (headerOf(record, 'id') ?? '')
    ? undefined
    : 'its value, deadline, time or id is another';
}

function isSame({ found, position }: Put, truth: Truth): boolean {
  const { version, value, expires } = found;
  const isOwn = version === undefined || (version.partition === position.partition && version.offset === position.offset);
  return isOwn && Buffer.from(value).toString() === truth.value && expires === truth.expires;
}
