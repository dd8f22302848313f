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
import { genesisKey } from '../core/keys.ts';
import { partitionOf } from '../core/partitioner.ts';
import { type Authorship, conditionalPutRecord } from '../core/record.ts';
import type {
  Checkpoint,
  Entry,
  Log,
  LogIdentity,
  Millis,
  NodeState,
  Offset,
  Partition,
  SkippedRecord,
  Store,
  StoreIdentity,
  Subscription,
} from '../ports.ts';
import { ApplyLoop } from './apply-loop.ts';
import { genesisKeyBytes, genesisLandmark } from './genesis.ts';
import { askEveryMs, Progress } from './progress.ts';
import type { ReplicaOptions } from './replica.ts';
import { Settler } from './settler.ts';

/** Format of the store's contents; another one means that it is rebuilt. */
export const storeFormat = 1;
const noteAtEndMs = 60_000;
const longestPauseMs = 5_000;

export interface SupervisorOptions extends ReplicaOptions {
  readonly author: () => Authorship;
  /** `node/incarnation` of this process's own records. */
  readonly writer: string;
  readonly applied: (partition: Partition, next: Offset, entries: ReadonlyMap<string, Entry | undefined>) => void;
  readonly skipped: (record: SkippedRecord) => void;
}

/** What exists while a subscription runs. */
interface Following {
  readonly log: Log;
  readonly loop: ApplyLoop;
  readonly progress: Progress;
  readonly settler: Settler;
  subscription: Subscription | undefined;
  asking: boolean;
  askAgain: boolean;
  /** Takes back the next question, which waits for its time. */
  cancelAsk: () => void;
  genesisProposed: boolean;
  notedAt: number;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  #store: Store | undefined;
  #log: Log | undefined;
  #following: Following | undefined;
  #state: NodeState = 'starting';
  #reason: string | undefined;
  #recordsBefore = 0;
  #entries = 0;
  #beganAt = 0;
  #stopping = false;
  #stopped = false;
  #wake: () => void = () => undefined;
  #ended: (error: Error) => void = () => undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Resolves when the store is open; then follows the log in the background. */
  async begin(): Promise<void> {
    this.#beganAt = this.#options.clock.monotonic();
    this.#store = await this.#openStore();
    this.#running = this.#run().catch((error) => this.#options.onFatal(error));
  }

  /** Undefined while it is being replaced. */
  get store(): Store | undefined {
    return this.#store;
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

  get caughtUp(): boolean {
    return this.#following?.progress.caughtUp ?? false;
  }

  get behind(): boolean {
    const following = this.#following;
    return following === undefined || !following.progress.caughtUp || following.progress.lagMs > 0 || following.progress.behind > 0;
  }

  /** Everything before this offset is applied: the stored checkpoint's word as long as no log is followed. */
  applied(partition: Partition): Offset {
    return this.#following?.progress.applied[partition] ?? this.#store?.checkpoints[partition]?.next ?? (0 as Offset);
  }

  get partitions(): number {
    return this.#log?.identity.partitions ?? this.#store?.identity?.partitions ?? this.#options.partitions;
  }

  get genesis(): string | undefined {
    return this.#following?.loop.identity.genesis?.id ?? this.#store?.identity?.genesis?.id;
  }

  get entries(): number {
    return this.#entries;
  }

  get recordsApplied(): number {
    return this.#recordsBefore + (this.#following?.progress.records ?? 0);
  }

  /** Age of the local state while no log is followed: by the wall clock, or, when it never was at the log's end, of this process. Above 0. */
  get ageMs(): Millis {
    const { clock } = this.#options;
    const times = this.#store?.checkpoints.map(({ atEnd }) => atEnd).filter((atEnd) => atEnd > 0) ?? [];
    const age = times.length === 0 ? clock.monotonic() - this.#beganAt : clock.now() - Math.min(...times);
    return Math.max(1, Math.round(age)) as Millis;
  }

  /** Ends what is under way with an error that was met elsewhere, to be mended as its code says. */
  end(error: Error): void {
    this.#ended(error);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wake();
    await this.#running;
    await this.#log?.close();
    await this.#store?.close();
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
      this.#store ??= await this.#openStore();
      this.#entries = this.#store.checkpoints.reduce((sum, { entries }) => sum + entries, 0);
      this.#log ??= await this.#openLog();
      await this.#compare(this.#store, this.#log.identity);
      return await this.#subscribe(this.#store, this.#log);
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
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

  /** The store must be of this log, or is made anew. A fresh store takes the log's identity. */
  async #compare(store: Store, log: LogIdentity): Promise<void> {
    const known = store.identity;
    const identity: StoreIdentity = {
      format: storeFormat,
      clusterId: log.clusterId,
      topic: log.topic,
      partitions: log.partitions,
      genesis: undefined,
    };
    if (known === undefined) return store.identify(identity);
    if (known.format !== storeFormat)
      throw new BitacoraError('store-damaged', `the store has format ${known.format}, this version writes ${storeFormat}`);
    if (known.clusterId !== log.clusterId || known.topic !== log.topic) {
      const detail = `the store was made from ${known.topic} on cluster ${known.clusterId}, this is ${log.topic} on ${log.clusterId}`;
      throw new BitacoraError('log-changed', detail);
    }
    if (known.partitions !== log.partitions) {
      const detail =
        `the topic ${log.topic} has ${log.partitions} partitions, the store was made from ${known.partitions}: keys now belong to other ` +
        `partitions than their records. Use a topic with ${known.partitions} partitions, or copy the data into a new topic`;
      throw new BitacoraError('topic-unusable', detail);
    }
    await this.#refuseOld(store);
  }

  /**
   * A node that was away for most of the time for which the log keeps tombstones may have missed one that is gone since, and would hold a
   * deleted key for ever. Its store is made anew, unless nothing has been written meanwhile.
   */
  async #refuseOld(store: Store): Promise<void> {
    const log = this.#log as Log;
    const oldMs = log.identity.deleteRetentionMs * 0.8;
    const now = this.#options.clock.now();
    const old = ({ atEnd, logTime, next }: Checkpoint) => next > 0 && now - (atEnd || logTime) > oldMs;
    if (!store.checkpoints.some(old)) return;
    const bounds = await log.bounds();
    for (const [partition, checkpoint] of store.checkpoints.entries()) {
      if (!old(checkpoint) || checkpoint.next === bounds[partition]?.next) continue;
      const detail = `partition ${partition} was last followed longer ago than the log keeps tombstones for certain (${oldMs} ms)`;
      throw new BitacoraError('log-changed', detail);
    }
  }

  async #subscribe(store: Store, log: Log): Promise<Error> {
    const { clock, meter, logger, author } = this.#options;
    let ended: (error: Error) => void = () => undefined;
    const end = new Promise<Error>((resolve) => {
      ended = resolve;
    });
    const loop = await ApplyLoop.begin(store, log.identity, clock, meter, {
      began: (batch) => {
        if (batch.jumped) this.#jumped();
        following.progress.began(batch);
      },
      applied: (batch, step) => {
        const news = following.progress.finished(batch);
        this.#entries += step.added;
        following.settler.applied(step.entries, (entry) => entry.by.startsWith(`${this.#options.writer}/`));
        this.#options.applied(batch.partition, batch.next, step.entries);
        following.subscription?.progress([...following.progress.applied]);
        if (news === 'caught-up') this.#caughtUp(following);
        if (news === 'ask') void this.#ask(following, ended);
      },
      skipped: this.#options.skipped,
      failed: (error) => ended(error instanceof Error ? error : new Error(String(error))),
    });
    const progress = new Progress(
      clock,
      loop.checkpoints.map(({ next }) => next),
      this.ageMs,
    );
    const settler = new Settler({
      store,
      log,
      clock,
      logger,
      author,
      applied: () => progress.applied,
      logTime: (partition) => loop.logTime(partition as Partition),
      mayState: () => progress.caughtUp && log.state === 'connected',
      doubt: () => progress.doubt,
    });
    settler.remember(await store.unsettled());
    const following: Following = {
      log,
      loop,
      progress,
      settler,
      subscription: undefined,
      asking: false,
      askAgain: false,
      cancelAsk: () => undefined,
      genesisProposed: false,
      notedAt: clock.monotonic(),
    };
    this.#following = following;
    // A node that was ready stays so while it looks for the log again: its state is what it was, and answers carry its age.
    if (this.#state !== 'ready') this.#enter('restoring');
    this.#ended = ended;
    this.#wake = () => ended(new BitacoraError('closed', 'the node goes away'));
    if (this.#stopping) this.#wake();
    try {
      following.subscription = await log.subscribe(
        { from: loop.checkpoints.map(({ next }) => next), landmark: () => genesisLandmark(loop.identity) },
        { batch: (batch) => loop.batch(batch), ended },
      );
      void this.#ask(following, ended);
      const error = await end;
      if (codeOf(error) !== 'log-unavailable' && this.#state === 'ready') this.#enter('restoring');
      return error;
    } finally {
      settler.stop();
      following.cancelAsk();
      this.#ended = () => undefined;
      await following.subscription?.close();
      await loop.settled().catch((error) => logger.debug({ event: 'apply.failed', code: codeOf(error) }, 'a batch was not written'));
      this.#recordsBefore += progress.records;
      this.#following = undefined;
      this.#wake = () => undefined;
    }
  }

  /** Asks the log for its ends, now and then again and again: how a node learns that it has caught up, and how far behind it is. */
  async #ask(following: Following, ended: (error: Error) => void): Promise<void> {
    if (this.#following !== following) return;
    if (following.asking) {
      following.askAgain = true;
      return;
    }
    // One question at a time, and one that waits.
    following.cancelAsk();
    following.asking = true;
    following.askAgain = false;
    const { clock, logger } = this.#options;
    const jumps = following.progress.asking();
    const askedAt = clock.monotonic();
    let there = false;
    try {
      const bounds = await following.log.bounds();
      there = following.progress.answered(bounds, jumps, askedAt);
    } catch (error) {
      logger.debug({ event: 'log.ends', code: codeOf(error) }, 'the log does not tell its ends');
    } finally {
      following.asking = false;
    }
    if (this.#following !== following) return;
    if (there) this.#caughtUp(following);
    this.#note(following, ended);
    this.#genesis(following);
    if (following.askAgain) void this.#ask(following, ended);
    else following.cancelAsk = clock.after(askEveryMs, () => void this.#ask(following, ended));
  }

  #caughtUp(following: Following): void {
    this.#enter('ready');
    const { applied, records } = following.progress;
    this.#options.logger.info({ event: 'node.ready', applied, records, entries: this.#entries }, 'caught up with the log');
  }

  #jumped(): void {
    if (this.#state === 'ready') this.#enter('restoring');
  }

  /** Writes down, once a minute, that this node was at the log's end. */
  #note(following: Following, ended: (error: Error) => void): void {
    const { clock } = this.#options;
    if (!following.progress.caughtUp || following.progress.lagMs > 0 || following.progress.behind > 0) return;
    if (clock.monotonic() - following.notedAt < noteAtEndMs) return;
    following.notedAt = clock.monotonic();
    for (const partition of following.progress.applied.keys()) following.loop.noteAtEnd(partition as Partition, clock.now()).catch(ended);
  }

  /** Gives the topic its identity if it has none: whichever node is first. */
  #genesis(following: Following): void {
    if (following.genesisProposed || !following.progress.caughtUp || following.loop.identity.genesis !== undefined) return;
    following.genesisProposed = true;
    const { chance, clock, author, logger } = this.#options;
    const { log } = following;
    const deadline = new AbortController();
    const cancel = clock.after(this.#options.writeTimeoutMs, () => deadline.abort());
    const value = Buffer.from(chance.uuid());
    const record = conditionalPutRecord(genesisKeyBytes, value, 'absent', author());
    log
      .append(partitionOf(genesisKeyBytes, log.identity.partitions), record, deadline.signal)
      .catch((error) => {
        following.genesisProposed = false;
        logger.debug(
          { event: 'genesis.retry', code: codeOf(error) },
          `the record ${JSON.stringify(genesisKey)} was not taken; it is tried again`,
        );
      })
      .finally(cancel);
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
      case 'store-damaged':
        logger.error({ event: 'store.rebuild', code, reason: error.message }, 'the local state is set aside and rebuilt from the log');
        meter.rebuilt(code);
        await this.#closeLog();
        await this.#rebuild(error.message);
        return;
      case 'store-failed':
        logger.error({ event: 'store.reopen', failures, reason: error.message }, 'the local database failed and is opened again');
        await this.#closeStore();
        return;
      case 'topic-unusable':
      case 'option-invalid':
      case 'directory-locked':
      case 'directory-unusable':
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
        await this.#closeStore();
    }
  }

  async #closeLog(): Promise<void> {
    const log = this.#log;
    this.#log = undefined;
    await log?.close();
  }

  /** The next attempt to follow the log opens it again. */
  async #closeStore(): Promise<void> {
    const store = this.#store;
    this.#store = undefined;
    await store?.close();
  }

  async #rebuild(reason: string): Promise<void> {
    await this.#closeStore();
    await this.#options.setStoreAside(reason);
  }

  async #openStore(): Promise<Store> {
    try {
      return await this.#options.openStore();
    } catch (error) {
      if (codeOf(error) !== 'store-damaged') throw error;
      const reason = (error as Error).message;
      this.#options.logger.error(
        { event: 'store.rebuild', code: 'store-damaged', reason },
        'the local state is set aside and rebuilt from the log',
      );
      this.#options.meter.rebuilt('store-damaged');
      await this.#options.setStoreAside(reason);
      return this.#options.openStore();
    }
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
