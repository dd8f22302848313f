/**
 * Callers who write and read through all nodes and note what they were told. Some keep a session, which goes on at whichever node; some
 * read without one. What a caller does not know the outcome of he sometimes asks again, with the idempotency key and at another node.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type ErrorCode, type ErrorKind, errorTable } from '../../src/core/errors.ts';
import { type Answer, call } from '../integration/calls.ts';
import { startWatcher, type Watcher } from '../integration/watching.ts';
import { SeededChance } from '../simulation/chance.ts';
import type { Arena } from './arena.ts';
import { type Consistency, now, type Operation, type Outcome, type WatchHistory } from './history.ts';
import { prefix, workloadKeys } from './keyspace.ts';

/** Longer than a node takes to say that it does not know. */
const callLimitMs = 4_000;
const consistencies: readonly Consistency[] = ['local', 'session', 'latest', 'linearizable'];

export interface WorkloadOptions {
  readonly arena: Arena;
  readonly seed: number;
  readonly callers: number;
}

export interface Workload {
  readonly operations: readonly Operation[];
  readonly watchers: readonly (Omit<WatchHistory, 'connections'> & { readonly watcher: Watcher })[];
  /** Resolves when what was under way has been answered. Watchers go on. */
  stop(): Promise<void>;
}

export function startWorkload({ arena, seed, callers }: WorkloadOptions): Workload {
  const operations: Operation[] = [];
  let stopped = false;
  const working = Array.from({ length: callers }, async (_, i) => {
    const caller = new Caller(`c${i}`, arena, new SeededChance(seed * 101 + i), operations, i % 3 !== 0);
    while (!stopped) await caller.step();
  });
  const watchers = startWatchers(arena, new SeededChance(seed * 103));
  return {
    operations,
    watchers,
    async stop() {
      stopped = true;
      await Promise.all(working);
    },
  };
}

function startWatchers({ nodes }: Arena, chance: SeededChance): Workload['watchers'] {
  const url = (): string => chance.pick(nodes).place.url;
  const [key] = workloadKeys as [string];
  const watches = [
    { name: 'all', prefix, initial: false },
    { name: 'all with state', prefix, initial: true },
    { name: 'some', prefix: `${prefix}1/`, initial: false },
    { name: 'one', prefix, key, initial: true },
  ];
  return watches.map((watch) => {
    const what = 'key' in watch ? `key=${encodeURIComponent(key)}` : `prefix=${encodeURIComponent(watch.prefix)}`;
    return { ...watch, watcher: startWatcher(url, watch.initial ? `${what}&initial=1` : what) };
  });
}

export function heardBy({ watchers }: Workload): WatchHistory[] {
  return watchers.map(({ watcher, ...watch }) => ({
    ...watch,
    connections: watcher.connections.map(({ from, events }) => ({ from, events })),
  }));
}

type Wish = Pick<Operation, 'kind' | 'key' | 'value' | 'condition' | 'idempotencyKey' | 'consistency'> & { readonly ttlMs?: number };

class Caller {
  readonly #name: string;
  readonly #arena: Arena;
  readonly #chance: SeededChance;
  readonly #operations: Operation[];
  readonly #keepsSession: boolean;
  #session = 0;
  #token: string | undefined;
  #count = 0;
  /** What it last saw under a key: a version, or null for nothing. */
  readonly #saw = new Map<string, string | null>();

  constructor(name: string, arena: Arena, chance: SeededChance, operations: Operation[], keepsSession: boolean) {
    this.#name = name;
    this.#arena = arena;
    this.#chance = chance;
    this.#operations = operations;
    this.#keepsSession = keepsSession;
  }

  async step(): Promise<void> {
    const wish = this.#wish();
    let { outcome } = await this.#ask(wish);
    for (let i = 0; i < 3 && outcome === 'unknown' && wish.idempotencyKey !== undefined; i++) {
      await pause(this.#chance.between(10, 500));
      ({ outcome } = await this.#ask(wish));
    }
    // Who was refused service asks less.
    await pause(outcome === 'failed' ? this.#chance.between(50, 150) : this.#chance.between(5, 40));
  }

  #wish(): Wish {
    const chance = this.#chance;
    const key = chance.pick(workloadKeys);
    if (chance.random() < 0.45)
      return {
        kind: 'get',
        key,
        consistency: this.#keepsSession ? chance.pick(consistencies) : chance.pick(consistencies.filter((each) => each !== 'session')),
      };
    const id = `${this.#name}-${++this.#count}`;
    const idempotency = chance.once(2) ? { idempotencyKey: id } : {};
    const condition = this.#condition(key);
    if (chance.random() < 0.2) return { kind: 'delete', key, ...idempotency, ...condition };
    const ttl = chance.once(5) ? { ttlMs: chance.between(300, 4_000) } : {};
    return { kind: 'put', key, value: id, ...idempotency, ...condition, ...ttl };
  }

  /** By what it knows of the key, as a rule; a condition that fails is one too. */
  #condition(key: string): { condition?: string } {
    const chance = this.#chance;
    if (!chance.once(2)) return {};
    const saw = this.#saw.get(key);
    if (chance.once(8)) return { condition: 'present' };
    if (saw === null || saw === undefined || chance.once(10)) return { condition: 'absent' };
    return { condition: saw };
  }

  async #ask(wish: Wish): Promise<Operation> {
    const node = this.#chance.pick(this.#arena.nodes);
    const { ttlMs, ...asked } = wish;
    const token = this.#keepsSession ? this.#token : undefined;
    const session = this.#keepsSession ? { session: `${this.#name}/${this.#session}` } : {};
    const about = { client: this.#name, node: node.name, ...asked, ...session, ...(token === undefined ? {} : { token }), began: now() };
    const answer = await call(node.place.url, methods[wish.kind], pathOf(wish), {
      headers: headersOf(wish, token),
      limitMs: callLimitMs,
      ...(wish.value === undefined ? {} : { body: wish.value }),
    }).catch((error: NodeJS.ErrnoException) => error);
    const operation: Operation = { ...about, ended: now(), ...understood(wish.kind, answer) };
    this.#operations.push(operation);
    this.#learn(operation);
    return operation;
  }

  #learn({ kind, key, outcome, version, current, position, code }: Operation): void {
    if (outcome === 'ok') this.#saw.set(key, kind === 'delete' ? null : (version ?? null));
    if (outcome === 'refused') this.#saw.set(key, current ?? null);
    if (!this.#keepsSession) return;
    // The log is another one, or this caller begins anew, as people do.
    if (code === 'position-foreign' || this.#chance.once(300)) {
      this.#token = undefined;
      this.#session++;
    } else if (position !== undefined && position !== '') this.#token = position;
  }
}

const methods = { get: 'GET', put: 'PUT', delete: 'DELETE' } as const;

function pathOf({ kind, key, consistency, ttlMs }: Wish): string {
  const query = kind === 'get' ? `?format=json&consistency=${consistency}` : ttlMs === undefined ? '' : `?ttl=${ttlMs}ms`;
  return `/v1/kv/${encodeURIComponent(key)}${query}`;
}

function headersOf({ condition, idempotencyKey }: Wish, token: string | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  if (token !== undefined) headers['bitacora-min-position'] = token;
  if (idempotencyKey !== undefined) headers['idempotency-key'] = idempotencyKey;
  if (condition === 'absent') headers['if-none-match'] = '*';
  else if (condition === 'present') headers['if-match'] = '*';
  else if (condition !== undefined) headers['if-match'] = `"${condition}"`;
  return headers;
}

type Understood = Pick<Operation, 'outcome' | 'status' | 'code' | 'lagMs' | 'position' | 'version' | 'current' | 'found'>;

/** What an answer says, or its absence. */
function understood(kind: Operation['kind'], answer: Answer | NodeJS.ErrnoException): Understood {
  if (answer instanceof Error) {
    // Nobody listened: nothing was sent. Any other failure of the connection leaves a write in the dark.
    const outcome = kind === 'get' || answer.code === 'ECONNREFUSED' ? 'failed' : 'unknown';
    return { outcome, status: 0, code: answer.code ?? answer.name };
  }
  const { status, headers, body } = answer;
  const token = headers['bitacora-position'];
  const common = { status, lagMs: Number(headers['bitacora-lag-ms']), ...(typeof token === 'string' ? { position: token } : {}) };
  if (status === 204) return { ...common, outcome: 'ok' };
  const told = JSON.parse(body) as { code?: string; version?: string; value?: string; current?: string | null };
  if (status < 300)
    return {
      ...common,
      outcome: 'ok',
      ...(told.version === undefined ? {} : { version: told.version }),
      ...(kind === 'get' ? { found: told.value as string } : {}),
    };
  const code = told.code ?? 'internal';
  if (status === 404 && kind === 'get' && code === 'not-found') return { ...common, outcome: 'ok' };
  return { ...common, code, outcome: outcomeOf(kind, code), ...(status === 412 ? { current: told.current ?? null } : {}) };
}

function outcomeOf(kind: Operation['kind'], code: string): Outcome {
  if (code === 'version-conflict') return 'refused';
  if (kind === 'get') return 'failed';
  const known: ErrorKind | undefined = errorTable[code as ErrorCode];
  return known === undefined || known.retry === 'reads' ? 'unknown' : 'failed';
}
