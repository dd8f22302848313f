/**
 * A key-value service of one node, in memory: real rules for keys, values, deletes, deadlines, positions, conditions, idempotency keys,
 * atomic batches, listings and history. One partition unless told otherwise.
 */
import { randomUUID } from 'node:crypto';
import { BitacoraError, VersionConflict } from '../../src/core/errors.ts';
import { checkKey, checkValue } from '../../src/core/keys.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import { reflects } from '../../src/core/position.ts';
import type {
  AtomicWrite,
  Digested,
  Expectation,
  FoundValue,
  KeyValue,
  Millis,
  Moment,
  NodeStatus,
  Offset,
  Position,
  ReadAnswer,
  ReadOptions,
  SkippedRecord,
  WriteOptions,
  Written,
} from '../../src/ports.ts';
import { MemoryHistory } from './memory-history.ts';
import { MemoryWatches } from './memory-watches.ts';

export const maxValueBytes = 100_000;

export interface MemoryKeyValue extends KeyValue {
  /** Laid over the status. */
  statusChange: Partial<NodeStatus>;
  /** Thrown by every read and write that reaches it, when set. */
  failure: Error | undefined;
  /** Thrown by writes of these keys. */
  readonly failures: Map<string, Error>;
  /** Awaited by every write before it is done; its caller's signal ends the wait. */
  writeGate: Promise<void> | undefined;
  /** As `writeGate`, for every read that memory does not answer. */
  readGate: Promise<void> | undefined;
  /** False: memory holds nothing, so that every read takes the asynchronous way. */
  hot: boolean;
  /** What peers know. */
  readonly peers: Map<string, FoundValue>;
  /** Keys whose writes were done. */
  readonly written: string[];
  /** Writes that came this far, with what was asked of them. */
  readonly writes: ({ readonly key: string } & WriteOptions)[];
  /** What was asked of reads that memory did not answer, and of listings. */
  readonly reads: ReadOptions[];
  /** Reasons with which waits were ended. */
  readonly aborted: unknown[];
  skipped: readonly SkippedRecord[];
  /** The only verification there is, and what this node came to in it. */
  run: string;
  digested: Digested[];
  /** How often a resync was asked for. */
  resyncs: number;
  /** Where to it was sealed; empty: that was not said. */
  sealedTo: string | undefined;
  readonly watches: MemoryWatches;
  readonly log: MemoryHistory;
  /** Nothing is there and nothing is applied, as of a store that is made anew; until what this returns is called, all at once. */
  goBack(): () => void;
}

export function createMemoryKeyValue(partitions = 1): MemoryKeyValue {
  const limits = { maxKeyBytes: 1024, maxValueBytes };
  const entries = new Map<string, FoundValue>();
  const next = Array.from({ length: partitions }, () => 0);
  const log = new MemoryHistory(partitions);
  const answered = new Map<string, Written | Error>();
  const applied = (): Offset[] => next as Offset[];
  const here = (key: string): Position => {
    const partition = partitionOf(Buffer.from(key), partitions);
    return { partition, offset: next[partition] as Offset };
  };
  const live = (key: string): FoundValue | undefined => {
    const found = entries.get(key);
    return found !== undefined && (found.expires === 0 || found.expires > Date.now()) ? found : undefined;
  };
  const local = (key: string): ReadAnswer => ({ source: 'local', found: live(key), applied: here(key) });

  function conflict(key: string, condition: Expectation | undefined): VersionConflict | undefined {
    const current = live(key)?.version;
    const holds =
      condition === undefined ||
      (condition === 'absent' && current === undefined) ||
      (condition === 'present' && current !== undefined) ||
      (typeof condition === 'object' && condition.partition === current?.partition && condition.offset === current.offset);
    return holds ? undefined : new VersionConflict(current);
  }

  async function gate(options: Pick<WriteOptions, 'signal'> | undefined): Promise<void> {
    if (self.failure) throw self.failure;
    if (self.writeGate) await orAborted(self.writeGate, options?.signal, self.aborted);
  }

  function record(key: string, value: Uint8Array | undefined, options: Omit<AtomicWrite, 'key' | 'value'> | undefined): Written {
    const position = here(key);
    const id = randomUUID();
    const time = Date.now() as Millis;
    next[position.partition] = position.offset + 1;
    if (value === undefined) entries.delete(key);
    else {
      const expires = options?.expires ?? (0 as Millis);
      entries.set(key, { value, version: position, time, expires, id, contentType: options?.contentType ?? '' });
    }
    self.written.push(key);
    self.watches.changed({ key, position, time, found: entries.get(key), learned: false });
    log.add(key, { version: position, time, found: entries.get(key), id, by: 'n1' });
    return { position, id };
  }

  async function write(key: string, value: Uint8Array | undefined, options: WriteOptions | undefined): Promise<Written> {
    checkKey(key, limits);
    if (value !== undefined) checkValue(value, limits);
    if (self.failures.has(key)) throw self.failures.get(key);
    await gate(options);
    self.writes.push({ key, ...options });
    const name = options?.idempotencyKey === undefined ? undefined : JSON.stringify([key, options.idempotencyKey]);
    const first = name === undefined ? undefined : answered.get(name);
    const answer = first ?? conflict(key, options?.condition) ?? record(key, value, options);
    if (name !== undefined) answered.set(name, answer);
    if (answer instanceof Error) throw answer;
    return answer;
  }

  /** Waits only as long as it is asked to. */
  async function reached({ seen, waitMs = 0 }: ReadOptions, places: () => readonly Position[]): Promise<void> {
    if (seen === undefined || seen.positions.length === 0) return;
    if (seen.genesis !== self.genesis) throw new BitacoraError('position-foreign', 'the position is of another log');
    for (const until = performance.now() + waitMs; !places().every((place) => reflects(place, seen)); ) {
      if (performance.now() >= until) throw new BitacoraError('position-not-reached', 'not applied yet');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async function begin({ signal, ...options }: ReadOptions): Promise<void> {
    self.reads.push(options);
    if (self.failure) throw self.failure;
    if (self.readGate) await orAborted(self.readGate, signal, self.aborted);
  }

  async function readAt(key: string, at: Moment, options: ReadOptions): Promise<ReadAnswer> {
    checkKey(key, limits);
    await begin(options);
    await reached(options, () => [here(key)]);
    return { source: 'local', found: log.at(key, at), applied: here(key) };
  }

  const liveKeys = (prefix: string): string[] =>
    [...entries.keys()]
      .filter((key) => key.startsWith(prefix) && live(key) !== undefined)
      .sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));

  const self: MemoryKeyValue = {
    statusChange: {},
    failure: undefined,
    failures: new Map(),
    writeGate: undefined,
    readGate: undefined,
    hot: true,
    peers: new Map(),
    written: [],
    writes: [],
    reads: [],
    aborted: [],
    run: '00000000-0000-4000-8000-000000000000',
    digested: [],
    resyncs: 0,
    sealedTo: undefined,
    watches: new MemoryWatches({
      genesis: () => self.genesis,
      applied,
      state: (wanted) => liveKeys('').flatMap((key) => (wanted(key) ? [[key, entries.get(key) as FoundValue] as const] : [])),
    }),
    log,
    goBack() {
      const [keys, places] = [[...entries], [...next]];
      entries.clear();
      next.fill(0);
      return () => {
        for (const [key, found] of keys) entries.set(key, found);
        for (const [partition, offset] of places.entries()) next[partition] = offset;
      };
    },
    skipped: [],
    get genesis() {
      return self.status.genesis;
    },
    get status(): NodeStatus {
      return { ...calm, applied: [...applied()], ends: [...applied()], entries: entries.size, ...self.statusChange };
    },
    peek(key) {
      checkKey(key, limits);
      return self.hot && self.failure === undefined && entries.has(key) ? local(key) : undefined;
    },
    async read(key, options = {}) {
      checkKey(key, limits);
      await begin(options);
      await reached(options, () => [here(key)]);
      const answer = local(key);
      const other = self.peers.get(key);
      return answer.found === undefined && other !== undefined ? { source: 'peer', found: other, applied: here(key) } : answer;
    },
    async readLocal(key) {
      checkKey(key, limits);
      if (self.failure) throw self.failure;
      return local(key);
    },
    async history(key, { limit, before, since, ...options }) {
      checkKey(key, limits);
      await begin(options);
      await reached(options, () => [here(key)]);
      return log.page(key, { limit, before, since });
    },
    readAt: (key, at, options = {}) => readAt(key, at, options),
    async revert(key, at, { condition = live(key)?.version ?? 'absent', expires = 0 as Millis, ...options } = {}) {
      const { found } = await readAt(key, at, options);
      const writing = { condition, ...(options.signal === undefined ? {} : { signal: options.signal }) };
      if (found === undefined) return { ...(await write(key, undefined, writing)), found };
      return { ...(await write(key, found.value, { ...writing, contentType: found.contentType, expires })), found };
    },
    verify: async () => ({ run: self.run, positions: [...self.digested.map(({ position }) => position)] }),
    digests: (run) => (run === self.run ? self.digested : []),
    resync() {
      if (self.failure) throw self.failure;
      self.resyncs++;
    },
    async seal(to) {
      if (self.failure) throw self.failure;
      self.sealedTo ??= to ?? '';
      const positions = next.flatMap((offset, partition) => (offset === 0 ? [] : [{ partition, offset: offset - 1 } as Position]));
      return { to: self.sealedTo === '' ? undefined : self.sealedTo, positions };
    },
    async unseal() {
      if (self.failure) throw self.failure;
      self.sealedTo = undefined;
    },
    put: (key, value, options) => write(key, value, options),
    delete: (key, options) => write(key, undefined, options),
    async writeAtomic(writes, options) {
      const keys = writes.map(({ key }) => key);
      for (const { key, value } of writes) {
        checkKey(key, limits);
        if (value !== undefined) checkValue(value, limits);
      }
      if (new Set(keys).size < keys.length) throw new BitacoraError('batch-invalid', 'a key is there twice');
      if (new Set(keys.map((key) => here(key).partition)).size > 1) {
        throw new BitacoraError('batch-invalid', 'the keys are of different partitions');
      }
      await gate(options);
      for (const { key, condition } of writes) {
        const against = conflict(key, condition);
        if (against !== undefined) throw against;
      }
      return writes.map(({ key, value, ...rest }) => record(key, value, rest));
    },
    async list({ prefix, after, delimiter, limit, ...options }) {
      await begin(options);
      await reached(options, () => next.map((offset, partition) => ({ partition, offset }) as Position));
      const found: { name: string; key: string | undefined }[] = [];
      for (const key of liveKeys(prefix)) {
        const cut = delimiter === undefined || delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
        const name = cut < 0 ? key : key.slice(0, cut + (delimiter as string).length);
        if (after !== undefined && Buffer.compare(Buffer.from(name), Buffer.from(after)) <= 0) continue;
        if (found.at(-1)?.name !== name) found.push({ name, key: cut < 0 ? key : undefined });
      }
      const page = found.slice(0, limit);
      return {
        items: page.flatMap(({ key }) => (key === undefined ? [] : [{ key, found: entries.get(key) as FoundValue }])),
        prefixes: page.filter(({ key }) => key === undefined).map(({ name }) => name),
        next: found.length > limit ? page.at(-1)?.name : undefined,
        applied: [...applied()],
      };
    },
    async count(prefix, limit, signal) {
      await begin({ signal });
      return Math.min(liveKeys(prefix).length, limit);
    },
    async *watch(options) {
      if (self.failure) throw self.failure;
      yield* self.watches.watch(options);
    },
  };
  return self;
}

const calm: NodeStatus = {
  state: 'ready',
  reason: undefined,
  ready: true,
  writable: true,
  sealed: false,
  stale: false,
  progress: 1,
  recordsPerSecond: 0,
  secondsLeft: 0,
  applied: [],
  ends: [],
  lagMs: 0,
  entries: 0,
  recordsApplied: 0,
  genesis: 'genesis-1',
  log: 'connected',
};

function orAborted(gate: Promise<void>, signal: AbortSignal | undefined, aborted: unknown[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      aborted.push(signal?.reason);
      reject(new BitacoraError('unknown-outcome', 'the write was sent and not confirmed'));
    };
    if (signal?.aborted) end();
    signal?.addEventListener('abort', end, { once: true });
    void gate.then(() => {
      signal?.removeEventListener('abort', end);
      resolve();
    });
  });
}
