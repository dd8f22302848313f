/**
 * Servers as they register in ZooKeeper: the children of `<root>/sockets`, named `host:port`.
 *
 * One loop for the whole life: a session, in it one look after another whenever something may have changed, and a new session when the
 * old one has ended or stayed without an answer too long. It reads this one directory and writes nothing. Whatever happens, the servers
 * last known stay; servers do not stop serving because ZooKeeper does.
 */
import type { Chance, Clock, Logger } from '../../src/ports.ts';
import { parseAddress } from '../../wire/address.ts';
import { Alarm } from '../../wire/alarm.ts';
import { createBackoff } from '../../wire/backoff.ts';
import { parseZooKeeperHosts, resolveServers } from '../../wire/zookeeper/hosts.ts';
import { loadZooKeeper, type OpenSession, type ZooKeeperSession } from '../../wire/zookeeper/session.ts';
import { refused } from '../options.ts';
import type { Discovery, OnServers } from './discovery.ts';

export interface ZooKeeperDiscoveryOptions {
  /** `host:port[,…][/path]`. */
  readonly hosts: string;
  /** Default `/bitacora`. */
  readonly root?: string | undefined;
  /** After which a silent connection counts as lost; the server may round it. Default 10 s. */
  readonly sessionTimeoutMs?: number;
  readonly clock: Clock;
  readonly chance: Pick<Chance, 'random'>;
  readonly logger: Logger;
}

/** Everything is looked at again after this time, whether or not a watch has fired. */
const lookAgainMs = 30_000;
/** More than any cluster of this kind; a bound for what others may have written there. */
const maxServers = 1_000;

/** Loads the native client, and looks until it is closed. Errors: `dependency-missing`, `option-invalid`, `bad-request`. */
export async function openZooKeeperDiscovery(
  options: ZooKeeperDiscoveryOptions,
  onServers: OnServers,
  load: () => Promise<OpenSession> = loadZooKeeper,
): Promise<Discovery> {
  const root = options.root ?? '/bitacora';
  if (!/^(\/[\w.-]+)+$/.test(root)) throw refused(`"${root}" is not a path in ZooKeeper`);
  const { servers, path } = parseZooKeeperHosts(options.hosts);
  return new ZooKeeperDiscovery(options, `${path}${root}/sockets`, () => resolveServers(servers), await load(), onServers);
}

class ZooKeeperDiscovery implements Discovery {
  readonly source: string;
  readonly #options: ZooKeeperDiscoveryOptions;
  readonly #directory: string;
  readonly #resolve: () => Promise<string>;
  readonly #open: OpenSession;
  readonly #onServers: OnServers;
  readonly #sessionTimeoutMs: number;
  readonly #alarm: Alarm;
  #session: ZooKeeperSession | undefined;
  #closing = false;
  /** The list may have changed since it was last looked at. */
  #stale = true;
  #trouble: string | undefined = 'no answer yet';

  constructor(
    options: ZooKeeperDiscoveryOptions,
    directory: string,
    resolve: () => Promise<string>,
    open: OpenSession,
    onServers: OnServers,
  ) {
    this.source = `ZooKeeper ${options.hosts}, ${directory}`;
    this.#options = options;
    this.#directory = directory;
    this.#resolve = resolve;
    this.#open = open;
    this.#onServers = onServers;
    this.#sessionTimeoutMs = options.sessionTimeoutMs ?? 10_000;
    this.#alarm = new Alarm(options.clock);
    void this.#live();
  }

  get trouble(): string | undefined {
    return this.#trouble;
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#alarm.ring();
    // Not until the loop has noticed: a name server or a frozen ZooKeeper may keep it, and it does nothing more.
    await this.#session?.close();
  }

  async #live(): Promise<void> {
    const backoff = createBackoff(100, 10_000, this.#options.chance);
    while (!this.#closing) {
      try {
        const servers = await this.#resolve();
        if (this.#closing) return;
        await this.#liveOneSession(servers, () => backoff.reset());
        this.#say('the session has ended');
      } catch (error) {
        this.#say((error as Error).message);
      }
      if (!this.#closing) await this.#alarm.wait(backoff.next());
    }
  }

  /** Resolves when the session is over. */
  async #liveOneSession(servers: string, looked: () => void): Promise<void> {
    const { clock, chance } = this.#options;
    const session = this.#open({
      servers,
      sessionTimeoutMs: this.#sessionTimeoutMs,
      operationTimeoutMs: this.#sessionTimeoutMs,
      clock,
      onState: () => this.#changed(),
    });
    this.#session = session;
    const watch = { set: false };
    const backoff = createBackoff(200, 5_000, chance);
    // What is without a connection longer will find its session expired, or servers that have moved and must be resolved anew, or hangs.
    let goodAt = clock.monotonic();
    this.#stale = true;
    try {
      while (!this.#closing && session.state !== 'ended') {
        if (session.state !== 'connected') {
          const left = goodAt + this.#sessionTimeoutMs - clock.monotonic();
          if (left <= 0) throw new Error('no connection');
          await this.#alarm.wait(left);
        } else if (!this.#stale) {
          if (await this.#alarm.wait(lookAgainMs)) this.#stale = true;
          goodAt = clock.monotonic();
        } else {
          this.#stale = false;
          try {
            const listed = await this.#look(session, watch);
            goodAt = clock.monotonic();
            looked();
            if (listed) {
              backoff.reset();
            } else {
              // Nothing tells when the directory is made.
              this.#stale = true;
              if (!this.#closing) await this.#alarm.wait(backoff.next());
            }
          } catch (error) {
            this.#stale = true;
            this.#say((error as Error).message);
            if (clock.monotonic() - goodAt > this.#sessionTimeoutMs) throw error;
            if (!this.#closing && session.state === 'connected') await this.#alarm.wait(backoff.next());
          }
        }
      }
    } finally {
      await session.close();
    }
  }

  /** False: the directory is not there yet. */
  async #look(session: ZooKeeperSession, watch: { set: boolean }): Promise<boolean> {
    const arm = !watch.set;
    watch.set = true;
    const fired = (): void => {
      watch.set = false;
      this.#changed();
    };
    let names: readonly string[];
    try {
      names = await session.children(this.#directory, arm ? fired : undefined);
    } catch (error) {
      if (arm) watch.set = false;
      if (session.state !== 'connected' || (await session.owner(this.#directory)) !== undefined) throw error;
      this.#say('no server has registered yet');
      return false;
    }
    if (this.#closing) return true;
    const servers = names.filter((name) => parseAddress(name) !== undefined).slice(0, maxServers);
    this.#say(undefined);
    this.#onServers(servers);
    return true;
  }

  #changed(): void {
    this.#stale = true;
    this.#alarm.ring();
  }

  /** A trouble is logged once and not at every attempt; undefined: it is over. */
  #say(trouble: string | undefined): void {
    if (this.#closing || trouble === this.#trouble) return;
    this.#trouble = trouble;
    const { logger, hosts } = this.#options;
    if (trouble === undefined) logger.info({ event: 'client.discovery.found', hosts }, 'the servers are listed in ZooKeeper');
    else {
      logger.warn(
        { event: 'client.discovery.failing', hosts, reason: trouble },
        'ZooKeeper does not tell the servers; those last known stay',
      );
    }
  }
}
