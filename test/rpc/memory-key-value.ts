/** A key-value service of one node with one partition, in memory: real rules for keys, values, deletes, deadlines and positions. */
import { randomUUID } from 'node:crypto';
import { BitacoraError } from '../../src/core/errors.ts';
import { checkKey, checkValue } from '../../src/core/keys.ts';
import { reflects } from '../../src/core/position.ts';
import type {
  FoundValue,
  KeyValue,
  Millis,
  NodeStatus,
  Offset,
  Partition,
  Position,
  ReadAnswer,
  WriteOptions,
  Written,
} from '../../src/ports.ts';

export const maxValueBytes = 100_000;

export interface MemoryKeyValue extends KeyValue {
  /** Laid over the status. */
  statusChange: Partial<NodeStatus>;
  /** Thrown by every read and write that reaches it, when set. */
  failure: Error | undefined;
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
  /** Reasons with which waits were ended. */
  readonly aborted: unknown[];
}

export function createMemoryKeyValue(): MemoryKeyValue {
  const limits = { maxKeyBytes: 1024, maxValueBytes };
  const entries = new Map<string, FoundValue>();
  const partition = 0 as Partition;
  let next = 0;
  const here = (): Position => ({ partition, offset: next as Offset });
  const local = (key: string): ReadAnswer => {
    const found = entries.get(key);
    const live = found !== undefined && (found.expires === 0 || found.expires > Date.now());
    return { source: 'local', found: live ? found : undefined, applied: here() };
  };

  async function write(key: string, options: WriteOptions | undefined, change: (position: Position, id: string) => void): Promise<Written> {
    checkKey(key, limits);
    if (self.failure) throw self.failure;
    if (self.writeGate) await orAborted(self.writeGate, options?.signal, self.aborted);
    const position = here();
    const id = randomUUID();
    next++;
    change(position, id);
    self.written.push(key);
    return { position, id };
  }

  const self: MemoryKeyValue = {
    statusChange: {},
    failure: undefined,
    writeGate: undefined,
    readGate: undefined,
    hot: true,
    peers: new Map(),
    written: [],
    aborted: [],
    skipped: [],
    get genesis() {
      return self.status.genesis;
    },
    get status(): NodeStatus {
      return { ...calm, applied: [next as Offset], ends: [next as Offset], entries: entries.size, ...self.statusChange };
    },
    peek(key) {
      checkKey(key, limits);
      return self.hot && self.failure === undefined && entries.has(key) ? local(key) : undefined;
    },
    async read(key, { seen, signal } = {}) {
      checkKey(key, limits);
      if (self.failure) throw self.failure;
      if (self.readGate) await orAborted(self.readGate, signal, self.aborted);
      if (seen !== undefined && seen.positions.length > 0 && seen.genesis !== self.genesis) {
        throw new BitacoraError('position-foreign', 'the position is of another log');
      }
      if (seen !== undefined && !reflects(here(), seen)) throw new BitacoraError('position-not-reached', 'not applied yet');
      const answer = local(key);
      const other = self.peers.get(key);
      return answer.found === undefined && other !== undefined ? { source: 'peer', found: other, applied: here() } : answer;
    },
    async readLocal(key) {
      checkKey(key, limits);
      if (self.failure) throw self.failure;
      return local(key);
    },
    async put(key, value, options) {
      checkValue(value, limits);
      return write(key, options, (version, id) => {
        const time = Date.now() as Millis;
        entries.set(key, { value, version, time, expires: options?.expires ?? (0 as Millis), id, contentType: options?.contentType ?? '' });
      });
    },
    async delete(key, options) {
      return write(key, options, () => entries.delete(key));
    },
  };
  return self;
}

const calm: NodeStatus = {
  state: 'ready',
  reason: undefined,
  ready: true,
  writable: true,
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
