/** A ZooKeeper that a test holds in its hands: one directory, and sessions that come, go and hang as told. */
import type { OpenSession, SessionOptions, SessionState, ZooKeeperSession } from '../../wire/zookeeper/session.ts';

export class FakeZooKeeper {
  /** Undefined: there is no such directory. */
  names: string[] | undefined = [];
  readonly sessions: FakeSession[] = [];
  /** Sessions connect as soon as they are opened. */
  reachable = true;
  /** How often children were listed, and of what. */
  readonly listed: string[] = [];
  /** Everything else that was asked of it. */
  readonly asked: string[] = [];
  /** Lists are not answered. */
  hangs = false;
  readonly #watches = new Set<() => void>();

  readonly open: OpenSession = (options) => {
    const session = new FakeSession(options, this);
    this.sessions.push(session);
    if (this.reachable) setImmediate(() => session.become('connected'));
    return session;
  };

  /** The one that is not over. */
  get session(): FakeSession {
    return this.sessions.at(-1) as FakeSession;
  }

  /** As nodes come and go: those who watch are told, once. */
  change(names: string[] | undefined): void {
    this.names = names;
    const fired = [...this.#watches];
    this.#watches.clear();
    for (const fire of fired) fire();
  }

  watch(onChange: () => void): void {
    this.#watches.add(onChange);
  }

  get watches(): number {
    return this.#watches.size;
  }

  /** The watches of an ended session are gone with it. */
  forgetWatches(): void {
    this.#watches.clear();
  }
}

export class FakeSession implements ZooKeeperSession {
  state: SessionState = 'connecting';
  readonly id = 'abc';
  readonly password = 'secret';
  readonly options: SessionOptions;
  readonly #zooKeeper: FakeZooKeeper;

  constructor(options: SessionOptions, zooKeeper: FakeZooKeeper) {
    this.options = options;
    this.#zooKeeper = zooKeeper;
  }

  become(state: SessionState): void {
    if (this.state === 'ended') return;
    this.state = state;
    if (state === 'ended') this.#zooKeeper.forgetWatches();
    this.options.onState(state);
  }

  async children(path: string, onChange?: () => void): Promise<readonly string[]> {
    this.#zooKeeper.listed.push(path);
    if (this.#zooKeeper.hangs) {
      await new Promise((resolve) => this.options.clock.after(this.options.operationTimeoutMs, () => resolve(undefined)));
      throw new Error('no answer in time');
    }
    if (this.state !== 'connected') throw new Error('connection loss (-4)');
    if (this.#zooKeeper.names === undefined) throw new Error('there is no such node');
    if (onChange !== undefined) this.#zooKeeper.watch(onChange);
    return [...this.#zooKeeper.names];
  }

  async owner(path: string): Promise<string | undefined> {
    this.#zooKeeper.asked.push(`owner ${path}`);
    return this.#zooKeeper.names === undefined ? undefined : '0';
  }

  create(path: string): Promise<boolean> {
    return this.#never(`create ${path}`);
  }

  remove(path: string): Promise<never> {
    return this.#never(`remove ${path}`);
  }

  async close(): Promise<void> {
    this.become('ended');
  }

  async #never(what: string): Promise<never> {
    this.#zooKeeper.asked.push(what);
    throw new Error('a client only reads');
  }
}
