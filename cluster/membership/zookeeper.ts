/**
 * Membership through ZooKeeper, as the original registers its nodes: ephemeral `<root>/servers/<host:port>` (HTTP) and
 * `<root>/sockets/<host:port>` (Avro).
 *
 * One loop for the whole life: a session, in it one pass after another (register, list, watch) whenever something may have changed, and
 * a new session when the old one has ended or stayed without a connection too long. Whatever happens, the members last known stay.
 */
import { BitacoraError } from '../../src/core/errors.ts';
import type { Chance, Clock, Logger, Member, Membership, MembershipState } from '../../src/ports.ts';
import { Alarm } from '../../wire/alarm.ts';
import { createBackoff } from '../../wire/backoff.ts';
import { parseZooKeeperHosts, resolveServers } from '../../wire/zookeeper/hosts.ts';
import { loadZooKeeper, type OpenSession, type ZooKeeperSession } from '../../wire/zookeeper/session.ts';
import { listMembers } from './directory.ts';
import { makeDirectory, Registration } from './registration.ts';

export interface ZooKeeperMembershipOptions {
  /** `host:port[,…][/path]`. */
  readonly hosts: string;
  /** Default `/bitacora`. */
  readonly root?: string;
  /** How long this node stays listed after it has vanished; the server may round it. Default 10 s. */
  readonly sessionTimeoutMs?: number;
  /** Bound of `leave`. Default 2 s. */
  readonly leaveMs?: number;
  readonly clock: Clock;
  readonly chance: Pick<Chance, 'random'>;
  readonly logger: Logger;
}

/** Everything is looked at again after this time, in milliseconds, whether or not a watch has fired. */
const lookAgainMs = 30_000;

/** Loads the native client and connects when `join` is called. Errors: `dependency-missing`, `option-invalid`. */
export async function openZooKeeperMembership(options: ZooKeeperMembershipOptions, load = loadZooKeeper): Promise<Membership> {
  const root = options.root ?? '/bitacora';
  if (!/^(\/[\w.-]+)+$/.test(root)) throw new BitacoraError('option-invalid', `"${root}" is not a path in ZooKeeper`);
  const { servers, path } = parseZooKeeperHosts(options.hosts);
  const open = await load();
  return new ZooKeeperMembership(options, `${path}${root}`, () => resolveServers(servers), open);
}

class ZooKeeperMembership implements Membership {
  readonly kind = 'zookeeper';
  #state: MembershipState = 'joining';
  #others: readonly Member[] = [];
  readonly #options: ZooKeeperMembershipOptions;
  readonly #directories: { readonly servers: string; readonly sockets: string };
  readonly #resolve: () => Promise<string>;
  readonly #open: OpenSession;
  readonly #sessionTimeoutMs: number;
  #self: Member | undefined;
  #session: ZooKeeperSession | undefined;
  #leaving: Promise<void> | undefined;
  /** What the loop waits on. */
  readonly #alarm: Alarm;
  /** Something may have changed since the last pass began. */
  #stale = true;
  /** What was said last, so that a state is logged once and not at every attempt. */
  #said = '';

  constructor(options: ZooKeeperMembershipOptions, root: string, resolve: () => Promise<string>, open: OpenSession) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock);
    this.#directories = { servers: `${root}/servers`, sockets: `${root}/sockets` };
    this.#resolve = resolve;
    this.#open = open;
    this.#sessionTimeoutMs = options.sessionTimeoutMs ?? 10_000;
  }

  get state(): MembershipState {
    return this.#state;
  }

  get others(): readonly Member[] {
    return this.#others;
  }

  join(self: Member): void {
    if (this.#leaving) throw new BitacoraError('closed', 'this node has left and does not join again');
    if (this.#self) return;
    this.#self = self;
    void this.#live(self);
  }

  leave(): Promise<void> {
    this.#leaving ??= this.#leave();
    return this.#leaving;
  }

  async #live(self: Member): Promise<void> {
    const backoff = createBackoff(100, 10_000, this.#options.chance);
    while (!this.#leaving) {
      try {
        const servers = await this.#resolve();
        if (this.#leaving) return;
        await this.#liveOneSession(self, servers, () => backoff.reset());
        this.#say('lost', 'warn', 'the ZooKeeper session has ended; a new one is begun');
      } catch (error) {
        this.#say('unreachable', 'warn', 'ZooKeeper cannot be reached; the members last known stay', error);
      }
      if (!this.#leaving) await this.#alarm.wait(backoff.next());
    }
  }

  /** Resolves when the session is over. */
  async #liveOneSession(self: Member, servers: string, joined: () => void): Promise<void> {
    const { clock, chance } = this.#options;
    const session = this.#open({
      servers,
      sessionTimeoutMs: this.#sessionTimeoutMs,
      operationTimeoutMs: this.#sessionTimeoutMs,
      clock,
      onState: () => this.#changed(),
    });
    this.#session = session;
    const registrations = [new Registration(this.#directories.servers, self.address)];
    if (self.socket !== '') registrations.push(new Registration(this.#directories.sockets, self.socket));
    const unwatched = new Set(Object.values(this.#directories));
    const backoff = createBackoff(200, 5_000, chance);
    // What is still without a connection then will find its session expired, or servers that have moved, whose names must be resolved
    // anew, or it hangs: the native client was seen to stay silent for good after its session was taken over.
    const patienceMs = this.#sessionTimeoutMs;
    let goodAt = clock.monotonic();
    this.#stale = true;
    try {
      while (!this.#leaving && session.state !== 'ended') {
        if (session.state !== 'connected') {
          this.#state = 'joining';
          const left = goodAt + patienceMs - clock.monotonic();
          if (left <= 0) throw new Error('no connection');
          await this.#alarm.wait(left);
          continue;
        }
        if (!this.#stale) {
          if (await this.#alarm.wait(lookAgainMs)) this.#stale = true;
          goodAt = clock.monotonic();
          continue;
        }
        this.#stale = false;
        try {
          await this.#pass(self, session, registrations, unwatched);
          goodAt = clock.monotonic();
          joined();
          backoff.reset();
        } catch (error) {
          this.#stale = true;
          this.#say('failing', 'warn', 'registration in ZooKeeper failed and is tried again', error);
          // A client that takes itself for connected and gets no answers is no better than none.
          if (clock.monotonic() - goodAt > patienceMs) throw error;
          if (!this.#leaving && session.state === 'connected') await this.#alarm.wait(backoff.next());
        }
      }
    } finally {
      if (!this.#leaving) {
        this.#state = 'joining';
        await session.close();
      }
    }
  }

  /** Registers, lists and watches. */
  async #pass(self: Member, session: ZooKeeperSession, registrations: readonly Registration[], unwatched: Set<string>): Promise<void> {
    for (const directory of Object.values(this.#directories)) await makeDirectory(session, directory);
    let contested: string | undefined;
    for (const registration of registrations) if (!(await registration.ensure(session))) contested = registration.path;
    this.#others = await listMembers(session, this.#directories, self.address, unwatched, () => this.#changed());
    if (this.#leaving || session.state !== 'connected') return;
    this.#state = contested === undefined ? 'joined' : 'joining';
    if (contested === undefined) this.#say('joined', 'info', 'registered in ZooKeeper');
    else this.#say('contested', 'error', `another node has registered ${contested}, this node's own address`);
  }

  async #leave(): Promise<void> {
    const { clock, leaveMs = 2_000 } = this.#options;
    this.#state = 'left';
    this.#alarm.ring();
    const session = this.#session;
    const self = this.#self;
    if (session === undefined || self === undefined) return;
    if (session.state === 'connected') {
      const paths = [`${this.#directories.servers}/${self.address}`, `${this.#directories.sockets}/${self.socket}`];
      const removals = paths.slice(0, self.socket === '' ? 1 : 2).map(async (path) => {
        // Not what another session has put there.
        if ((await session.owner(path)) === session.id) await session.remove(path);
      });
      await new Promise<void>((resolve) => {
        const cancel = clock.after(leaveMs, resolve);
        void Promise.allSettled(removals).then(() => {
          cancel();
          resolve();
        });
      });
    }
    await session.close();
  }

  #changed(): void {
    this.#stale = true;
    this.#alarm.ring();
  }

  #say(what: string, level: 'info' | 'warn' | 'error', message: string, cause?: unknown): void {
    if (this.#said === what || this.#leaving) return;
    this.#said = what;
    const reason = cause instanceof Error ? cause.message : undefined;
    this.#options.logger[level]({ event: `membership.${what}`, hosts: this.#options.hosts, reason }, message);
  }
}
