/**
 * The one file that names TypeBox: a definition is JSON Schema, so what validates a request is, word for word, what the OpenAPI document
 * says. Nothing is compiled with `eval`: checks are interpreted.
 */
import { Kind, type Static, type TObject, type TSchema, type TUnsafe, Type, TypeRegistry } from '@sinclair/typebox';
import { Value, type ValueError, ValueErrorType } from '@sinclair/typebox/value';
import { BitacoraError } from '../../../src/core/errors.ts';

export { type Static, type TObject, type TSchema, Type };

const enumeration = 'Enumeration';
TypeRegistry.Set<{ enum: readonly unknown[] }>(enumeration, (schema, value) => schema.enum.includes(value));

/** One of some words. */
export function oneOf<const T extends readonly string[]>(
  words: T,
  options: { description: string; default?: T[number] },
): TUnsafe<T[number]> {
  return Type.Unsafe<T[number]>({ [Kind]: enumeration, type: 'string', enum: [...words], ...options });
}

/** A schema, or null. */
export function orNull<T extends TSchema>(schema: T, description: string) {
  return Type.Union([schema, Type.Null()], { description });
}

/** The value as the schema describes it. Errors: `bad-request`, naming the place and never the value. */
export function check<T extends TSchema>(schema: T, value: unknown, what: string): Static<T> {
  if (Value.Check(schema, value)) return value as Static<T>;
  const error = Value.Errors(schema, value).First();
  throw new BitacoraError('bad-request', `${what}${error === undefined ? ' is not as described' : wordsOf(error)}`);
}

/** True when the value is as the schema describes it. */
export function fits<T extends TSchema>(schema: T, value: unknown): value is Static<T> {
  return Value.Check(schema, value);
}

/** ` "limit": expected integer to be …` */
function wordsOf({ path, type, schema, message }: ValueError): string {
  const place = path === '' ? '' : ` ${JSON.stringify(path.slice(1, 80))}`;
  const words: unknown = schema['enum'];
  if (Array.isArray(words)) return `${place}: expected one of ${words.join(', ')}`;
  if (type === ValueErrorType.ObjectAdditionalProperties) return `${place}: is not known here`;
  return `${place}: ${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}
