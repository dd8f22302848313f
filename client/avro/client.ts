/** A client over Avro: what users ask for, as operations on the servers. */
import { looseTextOf } from '../../src/core/bytes.ts';
import type { Clock } from '../../src/ports.ts';
import type { Answer } from '../../wire/avro/messages.ts';
import type { CallOptions, Client, Entry, GetResult, KeyRecord, SetOptions, SetResult, Value, ValueOptions, Written } from '../client.ts';
import type { Discovery } from '../discovery/discovery.ts';
import { ClientError } from '../errors.ts';
import { type Limits, refused } from '../options.ts';
import type { Session } from '../session.ts';
import type { Calls, Wait } from './calls.ts';
import { keyBytes, putOf, timeoutOf } from './checks.ts';
import { type Many, type Outcome, runMany } from './many.ts';
import { type KeyItem, type PutItem, ReadMany, WriteMany } from './many-operations.ts';
import type { Pool } from './pool.ts';
import { Read, type Shape } from './read.ts';
import { recordOf } from './record.ts';
import { sizeOf, Write } from './write.ts';

export interface AvroClientParts {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly session: Session;
  readonly pool: Pool;
  readonly calls: Calls;
  readonly discovery: Discovery;
}

const text: Shape<string | undefined> = {
  of: (_, { found }: Answer) => (found === null ? undefined : looseTextOf(found.value)),
  ofText: (value) => value ?? undefined,
};
const bytes: Shape<Uint8Array | undefined> = {
  of: (_, { found }: Answer) => found?.value,
  ofText: (value) => (value === null ? undefined : Buffer.from(value, 'utf8')),
};
const record: Shape<KeyRecord | undefined> = { of: recordOf, ofText: undefined };

/** Bytes of a key in a frame beside its own, its partition's position included. */
const besideKey = 32;

export class AvroClient implements Client {
  readonly #parts: AvroClientParts;
  #closing: Promise<void> | undefined;

  constructor(parts: AvroClientParts) {
    this.#parts = parts;
  }

  get(key: string, options?: CallOptions): Promise<string | undefined> {
    return this.#read(key, options, text);
  }

  getBytes(key: string, options?: CallOptions): Promise<Uint8Array | undefined> {
    return this.#read(key, options, bytes);
  }

  getRecord(key: string, options?: CallOptions): Promise<KeyRecord | undefined> {
    return this.#read(key, options, record);
  }

  // Not async, as `#read`: one promise for a call is enough, and what a check throws becomes its rejection.
  set(key: string, value: Value, options: SetOptions = {}): Promise<Written> {
    return this.#write(key, options, () => putOf(key, value, options));
  }

  delete(key: string, options: CallOptions = {}): Promise<Written> {
    return this.#write(key, options, () => undefined);
  }

  async getMany(keys: Iterable<string>, options: CallOptions = {}): Promise<readonly GetResult[]> {
    const wait = this.#wait(options);
    const { calls, session, pool } = this.#parts;
    calls.check(wait.signal);
    session.settle();
    const all = [...keys];
    const checked = all.map((key) => sound(() => ({ key, bytes: keyBytes(key) })));
    const many: Many<KeyItem, KeyRecord | undefined> = {
      items: checked.filter(isSound),
      sizeOf: (item) => item.bytes.length + besideKey,
      operation: (items) => new ReadMany(items, session),
    };
    const outcomes = await runMany(calls, () => pool.frameBytes, many, wait);
    return together(checked, outcomes).map((outcome, index) => {
      const key = all[index] as string;
      return outcome instanceof ClientError ? { key, error: outcome } : { key, found: outcome };
    });
  }

  async setMany(entries: Iterable<Entry>, options: CallOptions = {}): Promise<readonly SetResult[]> {
    const wait = this.#wait(options);
    const { calls, session, pool } = this.#parts;
    calls.check(wait.signal);
    const all = Array.from(entries, named);
    checkOnce(all.map(({ key }) => key));
    const checked = all.map(({ key, value, ...more }) => sound(() => ({ key, bytes: keyBytes(key), put: putOf(key, value, more) })));
    const many: Many<PutItem, Written> = {
      items: checked.filter(isSound),
      sizeOf: ({ put }) => sizeOf(put),
      operation: (items) => new WriteMany(items, session),
    };
    const outcomes = await runMany(calls, () => pool.frameBytes, many, wait);
    return together(checked, outcomes).map((outcome, index) => {
      const { key } = all[index] as { key: string };
      return outcome instanceof ClientError ? { key, error: outcome } : { key, written: outcome };
    });
  }

  get position(): string {
    return this.#parts.session.token;
  }

  observe(position: string): void {
    this.#parts.session.observe(position);
  }

  get servers(): readonly string[] {
    return this.#parts.pool.names;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { calls, discovery } = this.#parts;
    // Both may take their time.
    await Promise.all([calls.close(), discovery.close()]);
  }

  #read<R>(key: string, options: CallOptions | undefined, shape: Shape<R>): Promise<R> {
    const { calls, session } = this.#parts;
    try {
      const bytes = keyBytes(key);
      session.settle();
      return calls.run(new Read(key, bytes, session, shape), this.#wait(options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #write(key: string, options: CallOptions, put: () => ReturnType<typeof putOf> | undefined): Promise<Written> {
    const { calls, session } = this.#parts;
    try {
      const bytes = keyBytes(key);
      return calls.run(new Write(session, key, bytes, put()), this.#wait(options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #wait(options: CallOptions | undefined): Wait {
    const { clock, limits } = this.#parts;
    return { deadline: clock.monotonic() + timeoutOf(options?.timeoutMs, limits.timeoutMs), signal: options?.signal };
  }
}

/** An item, or why it cannot be sent: that is its result, and no reason not to send the others. */
function sound<T>(make: () => T): T | ClientError {
  try {
    return make();
  } catch (error) {
    if (error instanceof ClientError) return error;
    throw error;
  }
}

function isSound<T>(item: T | ClientError): item is T {
  return !(item instanceof ClientError);
}

/** The outcomes in the places of their items. */
function together<T>(checked: readonly unknown[], outcomes: readonly Outcome<T>[]): Outcome<T>[] {
  const next = outcomes.values();
  return checked.map((item) => (item instanceof ClientError ? item : (next.next().value as Outcome<T>)));
}

function named(entry: Entry): ValueOptions & { readonly key: string; readonly value: Value } {
  return isPair(entry) ? { key: entry[0], value: entry[1] } : entry;
}

function isPair(entry: Entry): entry is readonly [string, Value] {
  return Array.isArray(entry);
}

/** Errors: `bad-request`. */
function checkOnce(keys: readonly string[]): void {
  const places = new Map<string, number>();
  for (const [index, key] of keys.entries()) {
    const first = places.get(key);
    if (first !== undefined) throw refused(`entries ${first} and ${index} have the same key`);
    places.set(key, index);
  }
}
