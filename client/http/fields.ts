/** The fields of a JSON answer, checked as they are read: what comes over the network is somebody's claim. */
import type { Reply } from './exchange.ts';

/** The answer is not what a node says. Its words are for people and hold nothing of the answer. */
export class Malformed extends Error {}

export class Fields {
  readonly #object: Readonly<Record<string, unknown>>;

  /** Errors: `Malformed`. */
  constructor(value: unknown) {
    if (typeof value !== 'object' || value === null) throw new Malformed('there is no object where one should be');
    this.#object = value as Record<string, unknown>;
  }

  has(name: string): boolean {
    return this.#object[name] !== undefined;
  }

  text(name: string): string {
    return this.#typed(name, 'string') as string;
  }

  number(name: string): number {
    return this.#typed(name, 'number') as number;
  }

  flag(name: string): boolean {
    return this.#typed(name, 'boolean') as boolean;
  }

  /** Undefined where it is null or not there. */
  textIfAny(name: string): string | undefined {
    return (this.#object[name] ?? undefined) === undefined ? undefined : this.text(name);
  }

  /** As `textIfAny`, a time. */
  timeIfAny(name: string): Date | undefined {
    const text = this.textIfAny(name);
    const time = text === undefined ? undefined : new Date(text);
    if (time !== undefined && Number.isNaN(time.getTime())) throw new Malformed(`${name} is no time`);
    return time;
  }

  fields(name: string): Fields {
    return new Fields(this.#object[name]);
  }

  list(name: string): readonly unknown[] {
    const value = this.#object[name];
    if (!Array.isArray(value)) throw new Malformed(`${name} is no list`);
    return value;
  }

  texts(name: string): readonly string[] {
    const list = this.list(name);
    if (!list.every((each) => typeof each === 'string')) throw new Malformed(`${name} is no list of texts`);
    return list as readonly string[];
  }

  #typed(name: string, type: 'string' | 'number' | 'boolean'): unknown {
    const value = this.#object[name];
    if (typeof value !== type) throw new Malformed(`${name} is no ${type}`);
    return value;
  }
}

/** Errors: `Malformed`. */
export function fieldsOf({ body }: Pick<Reply, 'body'>): Fields {
  return fieldsIn(body.toString());
}

/** Errors: `Malformed`. */
export function fieldsIn(text: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own words may hold parts of a value.
    throw new Malformed('the answer is not JSON');
  }
  return new Fields(value);
}
