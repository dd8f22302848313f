/**
 * Is this a value of that schema? To be asked before bytes of a stranger are decoded.
 *
 * avsc decodes without looking at the end of the buffer and asks afterwards; a truncated array of 2^40 items keeps it busy for ever. The
 * check walks the bytes once, allocates nothing, and ends at the first byte that does not fit: every length lies within the buffer, blocks
 * are as long as they say, unions and enums name a branch, text is UTF-8. The schema may be a stranger's too: records that hold others
 * twice, thirty deep, or arrays of nothing, make much work of no bytes. So the work is bounded by the bytes there are,
 * and bounded anyway: each byte of a large frame could else become an object.
 *
 * Grammar: the binary encoding of the Avro specification.
 */
import { isUtf8 } from 'node:buffer';
import { BitacoraError } from '../../src/core/errors.ts';

/** Bytes that are no value of their schema: whoever sent them speaks another language, or his stream is broken. */
export class Malformed extends BitacoraError {
  constructor(what: string) {
    super('bad-request', what);
    this.name = 'Malformed';
  }
}

/** Ends behind the value. To be run by `endOf`. Errors: `Malformed`. */
export type Check = (buffer: Buffer, at: number, depth: number) => number;

/** A schema as JSON. */
type Schema = string | readonly Schema[] | { readonly [name: string]: unknown };

/** Nested values of recursive types. */
const deepest = 64;
/** Values within a value: so many for each of its bytes, and some that need none. */
const stepsPerByte = 4;
const stepsForNothing = 1_000;
/** Far above what any message of ours holds (a batch of a thousand has some ten thousand); each becomes an object when it is decoded. */
const mostSteps = 100_000;

const bad = (what: string): never => {
  throw new Malformed(what);
};

/** Steps left of the value under way. One value at a time: checks are synchronous. */
let left = 0;
function spend(steps: number): void {
  left -= steps;
  if (!(left >= 0)) bad('a value holds too many others');
}

/** Where the value at `at` ends. Errors: `Malformed`. */
export function endOf(check: Check, buffer: Buffer, at: number): number {
  left = Math.min(mostSteps, stepsForNothing + stepsPerByte * (buffer.length - at));
  return check(buffer, at, 0);
}

/** A zig-zag varint: its end, and its value in `long`, which is to be copied at once. */
let long = 0;
function readLong(buffer: Buffer, at: number): number {
  let value = 0;
  let factor = 1;
  for (let next = at; next < at + 10; next++) {
    const byte = buffer[next];
    if (byte === undefined) return bad('a value is cut off');
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) {
      long = value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      return next + 1;
    }
    factor *= 128;
  }
  return bad('a number has more than ten bytes');
}

function skip(buffer: Buffer, at: number, length: number): number {
  if (length < 0 || length > buffer.length - at) bad(`a length of ${length} bytes does not fit`);
  return at + length;
}

function bytes(buffer: Buffer, at: number): number {
  const start = readLong(buffer, at);
  return skip(buffer, start, long);
}

function text(buffer: Buffer, at: number): number {
  const start = readLong(buffer, at);
  const end = skip(buffer, start, long);
  if (!isUtf8(buffer.subarray(start, end))) bad('text is not UTF-8');
  return end;
}

/**
 * Blocks of items: a count (below zero: the block's bytes follow), the items, and a count of 0 at the end. Who skips a block jumps by its
 * bytes, backwards if they say so: they must be what the items have.
 */
function blocks(item: Check): Check {
  return (buffer, start, depth) => {
    for (let at = start; ; ) {
      at = readLong(buffer, at);
      let count = long;
      if (count === 0) return at;
      let end: number | undefined;
      if (count < 0) {
        count = -count;
        at = readLong(buffer, at);
        end = at + long;
      }
      spend(count);
      for (let index = 0; index < count; index++) at = item(buffer, at, depth);
      if (end !== undefined && end !== at) bad('a block is not as long as it says');
    }
  };
}

const primitives: Readonly<Record<string, Check>> = {
  null: (_, at) => at,
  boolean: (buffer, at) => skip(buffer, at, 1),
  int: readLong,
  long: readLong,
  float: (buffer, at) => skip(buffer, at, 4),
  double: (buffer, at) => skip(buffer, at, 8),
  bytes,
  string: text,
};

/** The check of a schema, which must be one that avsc has accepted. `names` collects the named types, so that later ones may refer to them. */
export function checkOf(schema: Schema, names: Map<string, Check> = new Map(), namespace = ''): Check {
  if (typeof schema === 'string') {
    const primitive = Object.hasOwn(primitives, schema) ? primitives[schema] : undefined;
    if (primitive !== undefined) return primitive;
    const name = schema.includes('.') || namespace === '' ? schema : `${namespace}.${schema}`;
    // Resolved when it is used: a type may hold itself.
    return (buffer, at, depth) => (names.get(name) ?? bad(`no type ${name}`))(buffer, at, depth);
  }
  if (Array.isArray(schema)) {
    const branches = schema.map((branch: Schema) => checkOf(branch, names, namespace));
    return (buffer, at, depth) => {
      const next = readLong(buffer, at);
      return (branches[long] ?? bad(`a union has no branch ${long}`))(buffer, next, depth);
    };
  }
  const type = schema as { readonly [name: string]: unknown };
  switch (type['type']) {
    case 'array':
      return blocks(checkOf(type['items'] as Schema, names, namespace));
    case 'map': {
      const value = checkOf(type['values'] as Schema, names, namespace);
      return blocks((buffer, at, depth) => value(buffer, text(buffer, at), depth));
    }
    case 'enum': {
      const symbols = (type['symbols'] as readonly string[]).length;
      return named(type, names, namespace, () => (buffer, at) => {
        const end = readLong(buffer, at);
        return long >= 0 && long < symbols ? end : bad(`an enum has no symbol ${long}`);
      });
    }
    case 'fixed': {
      const size = type['size'] as number;
      return named(type, names, namespace, () => (buffer, at) => skip(buffer, at, size));
    }
    case 'record':
    case 'error':
      return named(type, names, namespace, (inner) => {
        const fields = (type['fields'] as readonly { type: Schema }[]).map((field) => checkOf(field.type, names, inner));
        return (buffer, start, depth) => {
          if (depth > deepest) bad('values are nested too deep');
          spend(fields.length);
          let at = start;
          for (const field of fields) at = field(buffer, at, depth + 1);
          return at;
        };
      });
    default:
      return checkOf(type['type'] as Schema, names, namespace);
  }
}

function named(
  type: { readonly [name: string]: unknown },
  names: Map<string, Check>,
  outer: string,
  make: (namespace: string) => Check,
): Check {
  const own = String(type['name'] ?? '');
  const dot = own.lastIndexOf('.');
  const namespace = dot >= 0 ? own.slice(0, dot) : String(type['namespace'] ?? outer);
  const check = make(namespace);
  names.set(dot >= 0 || namespace === '' ? own : `${namespace}.${own}`, check);
  return check;
}
