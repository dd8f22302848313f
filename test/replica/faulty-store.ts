/** A store on a memory disk that fails when it is told to, as LevelDB does: after a failed write it stays dead until it is opened again. */
import { BitacoraError, type ErrorCode } from '../../src/core/errors.ts';
import type {
  Answer,
  Checkpoint,
  Entry,
  Fate,
  Offset,
  Partition,
  Scan,
  ScanRange,
  StateDigest,
  Store,
  StoreBatch,
  StoreIdentity,
  WriterMark,
} from '../../src/ports.ts';

/** What fails next; cleared when it has. */
export interface Faults {
  write?: ErrorCode | undefined;
  read?: ErrorCode | undefined;
  /** What the next check of the whole store finds. */
  verify?: string | undefined;
}

export class FaultyStore implements Store {
  readonly #store: Store;
  readonly #faults: Faults;
  #dead = false;

  constructor(store: Store, faults: Faults) {
    this.#store = store;
    this.#faults = faults;
  }

  get identity(): StoreIdentity | undefined {
    return this.#store.identity;
  }

  get checkpoints(): readonly Checkpoint[] {
    return this.#store.checkpoints;
  }

  get sizeBytes(): number {
    return this.#store.sizeBytes;
  }

  peek(key: string): Entry | undefined {
    return this.#store.peek(key);
  }

  lacks(key: string): boolean {
    return this.#store.lacks(key);
  }

  async get(key: string): Promise<Entry | undefined> {
    const code = this.#faults.read;
    this.#faults.read = undefined;
    if (code !== undefined) throw new BitacoraError(code, 'told to fail');
    return this.#store.get(key);
  }

  load(keys: readonly string[]): Promise<readonly (Entry | undefined)[]> {
    return this.#store.load(keys);
  }

  async scan(range: ScanRange): Promise<Scan> {
    const code = this.#faults.read;
    this.#faults.read = undefined;
    if (code !== undefined) throw new BitacoraError(code, 'told to fail');
    return this.#store.scan(range);
  }

  async write(batch: StoreBatch): Promise<void> {
    const code = this.#faults.write;
    this.#faults.write = undefined;
    if (code !== undefined || this.#dead) {
      this.#dead = true;
      throw new BitacoraError(code ?? 'store-failed', 'told to fail');
    }
    return this.#store.write(batch);
  }

  identify(identity: StoreIdentity): Promise<void> {
    return this.#store.identify(identity);
  }

  writers(partition: Partition): Promise<ReadonlyMap<string, WriterMark>> {
    return this.#store.writers(partition);
  }

  answers(partition: Partition): Promise<ReadonlyMap<string, Answer>> {
    return this.#store.answers(partition);
  }

  digest(partition: Partition): Promise<StateDigest> {
    return this.#store.digest(partition);
  }

  fates(partition: Partition): Promise<ReadonlyMap<Offset, Fate>> {
    return this.#store.fates(partition);
  }

  doubtful(): Promise<readonly string[]> {
    return this.#store.doubtful();
  }

  unsettled(): Promise<readonly string[]> {
    return this.#store.unsettled();
  }

  async verify(signal?: AbortSignal): Promise<string | undefined> {
    const found = this.#faults.verify;
    this.#faults.verify = undefined;
    if (found !== undefined) return found;
    return this.#store.verify(signal);
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}
