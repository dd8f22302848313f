/**
 * One ZooKeeper session over the native client: the one file that names the package `zookeeper`, which is optional and loaded when used.
 *
 * What the native client asks of its user, from its source: its calls return a code below zero and then never call back; a call after
 * its `close` event must not be made; `close` must not be called from within one of its callbacks, nor from what such a callback
 * resolves; a callback function may not be used twice; its log goes to stdout unless its level is 0, which is one for the process.
 */
import type { EventEmitter } from 'node:events';
import { BitacoraError } from '../../src/core/errors.ts';
import type { Clock } from '../../src/ports.ts';

/** `ended`: expired, or closed by us; nothing more comes. */
export type SessionState = 'connecting' | 'connected' | 'ended';

export interface SessionOptions {
  /** `ip:port,…`. */
  readonly servers: string;
  readonly sessionTimeoutMs: number;
  /** After which an operation is given up. */
  readonly operationTimeoutMs: number;
  readonly clock: Clock;
  readonly onState: (state: SessionState) => void;
}

/** Operations reject when the connection is lost, the session over or the time limit passed; what they did is then not known. */
export interface ZooKeeperSession {
  readonly state: SessionState;
  /** Lower-case hexadecimal, as in a node's owner; 0 before the first connection. */
  readonly id: string;
  /** With the id it lets another client go on with this session: never logged. */
  readonly password: string;
  /** False: there is a node already. Rejects without a parent. */
  create(path: string, data: string, kind: 'ephemeral' | 'persistent'): Promise<boolean>;
  /** Session that a node lives with; `'0'` for a lasting node, undefined for none. */
  owner(path: string): Promise<string | undefined>;
  /** Nothing happens without a node. */
  remove(path: string): Promise<void>;
  /** `onChange` runs once, when children were added or removed after this. */
  children(path: string, onChange?: () => void): Promise<readonly string[]>;
  /** Ends the session and with it its ephemeral nodes. Idempotent. May hold the process up to 1.5 s when the server is frozen. */
  close(): Promise<void>;
}

/** What is used of the native client. Its own types cannot be named: the build must pass where the package is missing. */
interface NativeClient extends EventEmitter {
  init(options: object): unknown;
  close(): unknown;
  a_create(path: string, data: string, flags: number, done: (rc: number, error: string) => void): number;
  a_exists(path: string, watch: boolean, done: (rc: number, error: string, stat: { ephemeralOwner: string } | null) => void): number;
  a_delete_(path: string, version: number, done: (rc: number, error: string) => void): number;
  a_get_children(path: string, watch: boolean, done: (rc: number, error: string, children: string[] | null) => void): number;
  aw_get_children(
    path: string,
    changed: (type: number) => void,
    done: (rc: number, error: string, children: string[] | null) => void,
  ): number;
  /** 0 when there is no handle: the server list was not understood. */
  readonly state: number;
  readonly client_id: string;
  readonly client_password: string;
}

/** Makes sessions. */
export type OpenSession = (options: SessionOptions) => ZooKeeperSession;

const ok = 0;
const noNode = -101;
const nodeExists = -110;
const ephemeralFlag = 1;
const anyVersion = -1;
/** Connection news, which every watch hears without being spent. */
const sessionEvent = -1;
const silent = 0;

/** Errors: `dependency-missing`, with the way out. */
export async function loadZooKeeper(packageName: string = 'zookeeper'): Promise<OpenSession> {
  let Client: new (options: object) => NativeClient;
  try {
    ({ default: Client } = (await import(packageName)) as { default: typeof Client });
  } catch (cause) {
    const way = `run "npm install ${packageName}", which needs a C compiler, make and Python, or list the nodes instead of using ZooKeeper`;
    throw new BitacoraError('dependency-missing', `membership through ZooKeeper needs the package "${packageName}": ${way}`, { cause });
  }
  return (options) => openSession(new Client({}), options);
}

function openSession(client: NativeClient, options: SessionOptions): ZooKeeperSession {
  let state: SessionState = 'connecting';
  let closing: Promise<void> | undefined;
  const become = (next: SessionState): void => {
    if (state === 'ended' || state === next) return;
    state = next;
    options.onState(next);
  };
  client.on('connect', () => become('connected'));
  client.on('connecting', () => become('connecting'));
  client.on('close', () => become('ended'));

  /** One operation: resolves with its code, `ok`, `noNode` or `nodeExists`, and its result. */
  function operation<T>(
    name: string,
    start: (done: (rc: number, error: string, result?: T) => void) => number,
  ): Promise<[number, T | undefined]> {
    if (state === 'ended') return Promise.reject(new Error(`${name}: the session has ended`));
    return new Promise((resolve, reject) => {
      const cancel = options.clock.after(options.operationTimeoutMs, () => reject(new Error(`${name}: no answer in time`)));
      const code = start((rc, error, result) => {
        cancel();
        if (rc === ok || rc === noNode || rc === nodeExists) resolve([rc, result]);
        else reject(new Error(`${name}: ${error} (${rc})`));
      });
      if (code >= 0) return;
      cancel();
      reject(new Error(`${name}: refused by the client (${code})`));
    });
  }

  client.init({ connect: options.servers, timeout: options.sessionTimeoutMs, debug_level: silent, host_order_deterministic: false });
  if (client.state === 0) setImmediate(() => become('ended'));

  return {
    get state() {
      return state;
    },
    get id() {
      return client.client_id;
    },
    get password() {
      return client.client_password;
    },
    async create(path, data, kind) {
      const flags = kind === 'ephemeral' ? ephemeralFlag : 0;
      const [rc] = await operation(`create ${path}`, (done) => client.a_create(path, data, flags, done));
      if (rc === noNode) throw new Error(`create ${path}: its parent is missing`);
      return rc === ok;
    },
    async owner(path) {
      const [, stat] = await operation<{ ephemeralOwner: string } | null>(`look at ${path}`, (done) =>
        client.a_exists(path, false, (rc, error, found) => done(rc, error, found)),
      );
      return stat?.ephemeralOwner;
    },
    async remove(path) {
      await operation(`delete ${path}`, (done) => client.a_delete_(path, anyVersion, done));
    },
    async children(path, onChange) {
      const [rc, names] = await operation<string[] | null>(`list ${path}`, (done) => {
        const hear = (code: number, error: string, children: string[] | null): void => done(code, error, children);
        if (onChange === undefined) return client.a_get_children(path, false, hear);
        return client.aw_get_children(path, (type) => type !== sessionEvent && onChange(), hear);
      });
      if (rc === noNode) throw new Error(`list ${path}: there is no such node`);
      return names ?? [];
    },
    close() {
      closing ??= new Promise((resolve) => {
        setImmediate(() => {
          // After its own end the client must not be touched.
          if (state !== 'ended') client.close();
          become('ended');
          resolve();
        });
      });
      return closing;
    },
  };
}
