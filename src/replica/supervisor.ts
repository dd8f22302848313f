/**
 * Keeps a node following its log, whatever happens: opens the log, compares it with the store, subscribes from the checkpoints, and when
 * that ends does what the code of the error asks for:
 *
 *   log-unavailable    the log is opened again, with growing pauses
 *   log-changed        the store is of another log: set aside, made anew from the log's beginning
 *   store-failed       the store is closed and opened again (a LevelDB that has failed once stays dead until then)
 *   store-damaged      set aside, made anew
 *   topic-unusable …   nothing a node can mend: it ends, saying why
 */
import { BitacoraError, codeOf } from '../core/errors.ts';
import type { Decision } from '../core/machine.ts';
import type { Authorship } from '../core/record.ts';
import type { Log, Millis, NodeState, Offset, Partition, Position, SkippedRecord, StateDigest, Store } from '../ports.ts';
import type { Applied, ApplyLoop } from './apply-loop.ts';
import { takeSeed, wantsSeed } from './first-state.ts';
import { Following } from './following.ts';
import type { Mark } from './marks.ts';
import type { Progress } from './progress.ts';
import type { ReplicaOptions } from './replica.ts';
import { compareWithLog } from './same-log.ts';
import type { StaleStore } from './stale-store.ts';
import { StoreKeeper } from './store-keeper.ts';
import { SweepCursor } from './sweeping.ts';

const longestPauseMs = 5_000;

export interface SupervisorOptions extends ReplicaOptions {
  readonly author: () => Authorship;
  /** `node/incarnation` of this process's own records. */
  readonly writer: string;
  readonly applied: (batch: Applied) => void;
  /** Somebody watches. */
  readonly watched: () => boolean;
  /** Changes are missed: behind a jump in offsets, or with another store. */
  readonly lost: () => void;
  readonly skipped: (record: SkippedRecord) => void;
  readonly decided: (decisions: readonly Decision[]) => void;
  readonly digested: (mark: Mark, digest: StateDigest | undefined) => void;
  /** The node has caught up with the log, and no jump in offsets is unresolved. */
  readonly caughtUp: () => void;
  /** The node goes away. */
  readonly draining: () => boolean;
  /** A record behind everything that is in the partition. Errors: those of `Log.append`. */
  readonly barrier: (partition: Partition) => Promise<Position>;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #sweepCursor = new SweepCursor();
  readonly #stores: StoreKeeper;
  #log: Log | undefined;
  #following: Following | undefined;
  #state: NodeState = 'starting';
  #reason: string | undefined;
  #recordsBefore = 0;
  #entriesBefore = 0;
  #beganAt = 0;
  /** An empty state may be taken from another node. */
  #maySeed = true;
  /** How much of it has come, 0 to 1; undefined: none is being taken. */
  #seedPart: number | undefined;
  #stopping = false;
  #stopped = false;
  #whole = true;
  #isDoubtful: (key: string) => boolean = () => false;
  #wake: () => void = () => undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#stores = new StoreKeeper(options);
  }

  /** Resolves when the store is open; then follows the log in the background. */
  async begin(): Promise<void> {
    this.#beganAt = this.#options.clock.monotonic();
    const store = await this.#stores.open();
    const doubtful = new Set(await store.doubtful());
    this.#isDoubtful = (key) => doubtful.has(key);
    this.#whole = store.checkpoints.every(({ whole }) => whole !== false);
    this.#running = this.#run().catch((error) => this.#options.onFatal(error));
  }

  /** Undefined while it is being replaced. */
  get store(): Store | undefined {
    return this.#stores.store;
  }

  /** The state of before, while another is made; undefined: there is none, or nobody asked for it. */
  get stale(): StaleStore | undefined {
    return this.#stores.stale;
  }

  get log(): Log | undefined {
    return this.#log;
  }

  get state(): NodeState {
    return this.#state;
  }

  get reason(): string | undefined {
    return this.#reason;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  get progress(): Progress | undefined {
    return this.#following?.progress;
  }

  /** 0 to 1, by position, or of the state that is being taken from another node. */
  get ratio(): number {
    return this.#seedPart ?? this.progress?.ratio ?? 0;
  }

  get caughtUp(): boolean {
    return this.#following?.progress.caughtUp ?? false;
  }

  /** The local state is of one point in time: since the last jump in offsets an end of the log that was asked for later was applied. */
  get whole(): boolean {
    return this.#whole;
  }

  /** The state is that of the log's end, and none of it is in doubt. */
  get certain(): boolean {
    return this.caughtUp && this.#whole && this.loop?.doubts === 0;
  }

  /** Others may have decided otherwise about the key. */
  isDoubtful(key: string): boolean {
    return this.#isDoubtful(key);
  }

  /** What is applied of the log that is followed; undefined while none is. */
  get loop(): ApplyLoop | undefined {
    return this.#following?.loop;
  }

  get behind(): boolean {
    const following = this.#following;
    return following === undefined || !following.progress.caughtUp || following.progress.lagMs > 0 || following.progress.behind > 0;
  }

  /** The log is being read to come to a state that can be answered for. */
  get restoring(): boolean {
    return this.#state === 'restoring' && this.#following !== undefined;
  }

  /** Everything before this offset is applied: the stored checkpoint's word as long as no log is followed. */
  applied(partition: Partition): Offset {
    return this.#following?.progress.applied[partition] ?? this.#stores.applied(partition);
  }

  /** Everything that reads may show stands before this offset, which is ahead of `applied` while the store writes. */
  shown(partition: Partition): Offset {
    return this.#following?.loop.handed(partition) ?? this.applied(partition);
  }

  get partitions(): number {
    return this.#log?.identity.partitions ?? this.#stores.store?.identity?.partitions ?? this.#options.partitions;
  }

  get genesis(): string | undefined {
    return this.#following?.genesis ?? this.#stores.genesis;
  }

  get entries(): number {
    return this.#following?.entries ?? this.#entriesBefore;
  }

  get recordsApplied(): number {
    return this.#recordsBefore + (this.#following?.progress.records ?? 0);
  }

  /** Age of the local state while no log is followed: by the wall clock, or, when it never was at the log's end, of this process. Above 0. */
  get ageMs(): Millis {
    const { clock } = this.#options;
    const times = this.#stores.store?.checkpoints.map(({ atEnd }) => atEnd).filter((atEnd) => atEnd > 0) ?? [];
    const age = times.length === 0 ? clock.monotonic() - this.#beganAt : clock.now() - Math.min(...times);
    return Math.max(1, Math.round(age)) as Millis;
  }

  /** Ends what is under way with an error that was met elsewhere, to be mended as its code says. */
  end(error: Error): void {
    // What is going to be thrown away is not answered from any more.
    if (codeOf(error) === 'resync-asked' && this.#state === 'ready') this.#enter('restoring');
    this.#following?.end(error);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wake();
    await this.#running;
    await this.#log?.close();
    await this.#stores.end();
    this.#stopped = true;
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#stopping; ) {
      const began = this.#options.clock.monotonic();
      const error = await this.#follow();
      if (this.#stopping) return;
      if (this.#options.clock.monotonic() - began > 30_000) failures = 0;
      failures++;
      await this.#mend(error, failures);
      await this.#pause(Math.min(longestPauseMs, 100 * 2 ** Math.min(failures, 6)));
    }
  }

  /** Follows the log until something ends it; resolves with what did. */
  async #follow(): Promise<Error> {
    try {
      let store = this.#stores.store ?? (await this.#stores.open());
      this.#entriesBefore = store.checkpoints.reduce((sum, { entries }) => sum + entries, 0);
      this.#log ??= await this.#openLog();
      if (this.#maySeed) store = await this.#seeded(store, this.#log);
      await compareWithLog(store, this.#log, this.#options.clock);
      return await this.#subscribe(store, this.#log);
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** The store, or another in its place that was taken from another node: once, as what does not fit will not fit the next time. */
  async #seeded(store: Store, log: Log): Promise<Store> {
    const { seed, clock, logger } = this.#options;
    if (seed === undefined || !(await wantsSeed(store, log))) return store;
    this.#maySeed = false;
    const stop = new AbortController();
    this.#wake = () => stop.abort();
    if (this.#stopping) this.#wake();
    this.#enter('restoring');
    this.#reason = 'the state is being taken from another node';
    try {
      const vacate = (): Promise<void> => this.#stores.close();
      const progress = (part: number): void => {
        this.#seedPart = part;
      };
      const taken = await takeSeed({ seed, log, clock, logger, vacate, progress, signal: stop.signal });
      if (!taken && this.#stores.store !== undefined) return this.#stores.store;
      return await this.#stores.open();
    } finally {
      this.#wake = () => undefined;
      this.#reason = undefined;
      this.#seedPart = undefined;
    }
  }

  /** Connects to the log, unless the node is told to go first: a log that comes after that is closed. */
  #openLog(): Promise<Log> {
    return new Promise((resolve, reject) => {
      this.#wake = () => reject(new BitacoraError('closed', 'the node goes away'));
      if (this.#stopping) return this.#wake();
      this.#options.openLog().then((log) => {
        if (this.#stopping) log.close().catch(reject);
        else resolve(log);
      }, reject);
    });
  }

  async #subscribe(store: Store, log: Log): Promise<Error> {
    const following = await Following.begin({
      ...this.#options,
      store,
      log,
      sweepCursor: this.#sweepCursor,
      ageMs: this.ageMs,
      // While a node that was ready looks for the log again, too: who begins to watch then must not find that nobody took note.
      watched: () => this.#options.watched() || this.#state === 'ready',
      caughtUp: () => {
        this.#whole = true;
        this.#maySeed = true;
        this.#enter('ready');
        void this.#stores.endStale(this.genesis);
        this.#options.caughtUp();
      },
      jumped: () => {
        this.#whole = false;
        this.#options.lost();
        if (this.#state === 'ready') this.#enter('restoring');
      },
    });
    this.#following = following;
    this.#isDoubtful = (key) => following.loop.isDoubtful(key);
    // A node that was ready stays so while it looks for the log again: its state is what it was, and answers carry its age.
    if (this.#state !== 'ready') this.#enter('restoring');
    this.#wake = () => following.end(new BitacoraError('closed', 'the node goes away'));
    if (this.#stopping) this.#wake();
    try {
      const error = await following.run();
      if (!this.#stopping && codeOf(error) !== 'log-unavailable' && this.#state === 'ready') this.#enter('restoring');
      return error;
    } finally {
      this.#recordsBefore += following.progress.records;
      this.#entriesBefore = following.entries;
      this.#following = undefined;
      this.#wake = () => undefined;
    }
  }

  async #mend(error: Error, failures: number): Promise<void> {
    const code = codeOf(error);
    const { logger, meter } = this.#options;
    this.#reason = error.message;
    switch (code) {
      case 'log-unavailable':
        logger.warn(
          { event: 'log.unavailable', failures, reason: error.message },
          'the log cannot be reached; reads go on from the local state',
        );
        await this.#closeLog();
        return;
      case 'log-changed':
      case 'resync-asked':
      case 'store-damaged':
        logger.error({ event: 'store.rebuild', code, reason: error.message }, 'the local state is set aside and rebuilt from the log');
        meter.rebuilt(code);
        // Who asked for the log's own word is not given another node's.
        if (code === 'resync-asked') this.#maySeed = false;
        await this.#stores.replace(error, this.#log, () => this.#closeLog());
        return;
      case 'store-failed':
        logger.error({ event: 'store.reopen', failures, reason: error.message }, 'the local database failed and is opened again');
        await this.#stores.close();
        return;
      case 'topic-unusable':
      case 'option-invalid':
      case 'dependency-missing':
        throw error;
      default:
        // A mistake of ours, most likely. It is told, and the node tries again from its checkpoint rather than go on with half a batch.
        logger.error(
          { event: 'node.failure', failures, code, reason: error.message, stack: error.stack },
          'following the log failed; it begins anew',
        );
        if (failures >= 3) this.#enter('stuck');
        await this.#closeLog();
        await this.#stores.close();
    }
  }

  async #closeLog(): Promise<void> {
    const log = this.#log;
    this.#log = undefined;
    await log?.close();
  }

  #enter(state: NodeState): void {
    if (state === 'ready') this.#reason = undefined;
    if (this.#state === state) return;
    this.#options.logger.info({ event: 'node.state', from: this.#state, to: state }, `the node is ${state}`);
    this.#state = state;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(ms, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
      if (this.#stopping) this.#wake();
    });
  }
}
