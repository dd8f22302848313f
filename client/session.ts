/**
 * What a client has seen of the log, so that no answer is older than an earlier one: per partition the furthest position, of one log.
 *
 * Positions only move forward. When the log turns out to be another one (its genesis id differs), they mean nothing: they are forgotten,
 * and whoever reads next is told, once. The session knows no network; the faces of the client carry its `Seen` and report what came back.
 */
import { ClientError } from './errors.ts';

/** A place in the log, as it travels. */
export interface Place {
  readonly partition: number;
  readonly offset: number;
}

/** What goes with a read. Without positions any answer will do. */
export interface SeenPlaces {
  readonly genesis: string;
  readonly positions: readonly Place[];
}

const nothing: readonly Place[] = [];
/** As many partitions as a token may name; more than Kafka's users give a compacted topic. */
const mostPartitions = 10_000;

export class Session {
  /** Empty: no log known yet. */
  #genesis = '';
  /** Of the log forgotten last. */
  #former: string | undefined;
  readonly #offsets = new Map<number, number>();
  #epoch = 0;
  #untold: ClientError | undefined;

  /** Grows whenever everything was forgotten: a call that was sent before belongs to another log. */
  get epoch(): number {
    return this.#epoch;
  }

  /** What an answer must reflect that concerns these partitions; undefined: all of them. */
  seen(partitions: Iterable<number> | undefined): SeenPlaces {
    if (this.#offsets.size === 0) return { genesis: this.#genesis, positions: nothing };
    const positions: Place[] = [];
    for (const partition of partitions ?? this.#offsets.keys()) {
      const offset = this.#offsets.get(partition);
      if (offset !== undefined) positions.push({ partition, offset });
    }
    return { genesis: this.#genesis, positions };
  }

  /** As `seen`, for the one partition of a key. */
  seenIn(partition: number): SeenPlaces {
    const offset = this.#offsets.get(partition);
    return { genesis: this.#genesis, positions: offset === undefined ? nothing : [{ partition, offset }] };
  }

  /** This log was forgotten after the epoch, so what was asked then and is answered of it now is over. */
  isOver(genesis: string, epoch: number): boolean {
    return epoch !== this.#epoch && genesis === this.#former;
  }

  /** An answer of this log was seen. False: the session was of another log; it is now of this one and all it knew before is forgotten. */
  learn(genesis: string): boolean {
    if (genesis === '' || genesis === this.#genesis) return true;
    const known = this.#genesis !== '';
    if (known) this.forget();
    this.#genesis = genesis;
    return !known;
  }

  /** Everything up to this place was seen. Below zero: nothing. */
  reach(partition: number, offset: number): void {
    if (offset >= 0 && offset > (this.#offsets.get(partition) ?? -1)) this.#offsets.set(partition, offset);
  }

  forget(): void {
    this.#former = this.#genesis;
    this.#genesis = '';
    this.#offsets.clear();
    this.#epoch++;
  }

  /** What the next read is told, because the call that found out had to tell something else. */
  owe(error: ClientError): void {
    this.#untold = error;
  }

  /** Errors: `position-foreign`, once, when it is owed. */
  settle(): void {
    const untold = this.#untold;
    this.#untold = undefined;
    if (untold !== undefined) throw untold;
  }

  /** All that was seen, as text for another client: `genesis@partition:offset,…`; empty: nothing yet. */
  get token(): string {
    if (this.#genesis === '') return '';
    const places = [...this.#offsets].sort(([a], [b]) => a - b).map(([partition, offset]) => `${partition}:${offset}`);
    return `${encodeURIComponent(this.#genesis)}@${places.join(',')}`;
  }

  /** Takes over what another client has seen. Errors: `bad-request` for what is no token; `position-foreign` for one of another log. */
  observe(token: string): void {
    if (token === '') return;
    const { genesis, positions } = parseToken(token);
    if (this.#genesis !== '' && this.#genesis !== genesis) {
      throw new ClientError('position-foreign', `the position is of the log ${genesis}, this session of ${this.#genesis}`);
    }
    this.#genesis = genesis;
    for (const { partition, offset } of positions) this.reach(partition, offset);
  }
}

/** What the caller is told when everything was forgotten. */
export function foreignLog(server: string | undefined, cause?: unknown): ClientError {
  const what = 'the log is another one than before: what this session had seen of it is forgotten, and values read earlier may be gone';
  return new ClientError('position-foreign', what, { retryable: false, server, cause });
}

function parseToken(token: string): SeenPlaces {
  const match = /^([^@\s]{1,1000})@((?:\d{1,10}:\d{1,16}(?:,(?!$)|$))*)$/.exec(token);
  const places = match?.[2] === '' ? [] : (match?.[2]?.split(',') ?? []);
  const positions = places.slice(0, mostPartitions).map((place) => {
    const [partition, offset] = place.split(':').map(Number) as [number, number];
    return { partition, offset };
  });
  const sound = places.length <= mostPartitions && positions.every(({ offset }) => Number.isSafeInteger(offset));
  const genesis = match === null || !sound ? undefined : decoded(match[1] as string);
  if (genesis === undefined) throw new ClientError('bad-request', 'this is not the position of a client', { retryable: false });
  return { genesis, positions };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
