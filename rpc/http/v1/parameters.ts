/** The parameters and headers of a request, checked by the definition of its operation. */
import type { IncomingMessage } from 'node:http';
import { BitacoraError } from '../../../src/core/errors.ts';
import { decodeComponent } from '../query.ts';
import { check, type Static, type TObject, type TSchema } from './schema.ts';

/** A parameter that is not known or stands twice is refused: `?tll=30s` would otherwise store for ever. Errors: `bad-request`. */
export function readQuery<T extends TObject>(schema: T, url: string): Static<T> {
  const start = url.indexOf('?');
  const given: Record<string, unknown> = Object.create(null);
  for (const pair of start < 0 ? [] : url.slice(start + 1).split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decodeComponent(equals < 0 ? pair : pair.slice(0, equals));
    const text = equals < 0 ? '' : decodeComponent(pair.slice(equals + 1));
    const parameter = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    if (parameter === undefined) throw unknownParameter(name, schema);
    if (name in given) throw new BitacoraError('bad-request', `the parameter "${name}" is there twice`);
    given[name] = typed(parameter, text);
  }
  return check(schema, { ...given }, 'the parameter');
}

function unknownParameter(name: string, schema: TObject): BitacoraError {
  const names = Object.keys(schema.properties);
  const known = names.length === 0 ? 'this path takes none' : `known here: ${names.join(', ')}`;
  return new BitacoraError('bad-request', `the parameter ${JSON.stringify(name.slice(0, 40))} is not known here; ${known}`);
}

/** Numbers come as text; anything else the check refuses. */
function typed(schema: TSchema, text: string): unknown {
  return schema['type'] === 'integer' && /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}

/** Headers that hold lists: given twice they are one list. */
const lists: ReadonlySet<string> = new Set(['if-match', 'if-none-match', 'prefer', 'accept']);

/** What changes the meaning of a write: where it is not understood it must not be passed over. */
const binding = ['If-Match', 'If-None-Match', 'If-Unmodified-Since', 'Idempotency-Key', 'Content-Range'] as const;

/** By the names of the definition. Errors: `bad-request`, also for a header twice that is no list. */
export function readHeaders<T extends TObject>(schema: T, request: IncomingMessage): Static<T> {
  const given: Record<string, string> = {};
  for (const name of Object.keys(schema.properties)) {
    const lower = name.toLowerCase();
    const values = request.headersDistinct[lower];
    if (values === undefined) continue;
    if (values.length > 1 && !lists.has(lower)) throw new BitacoraError('bad-request', `the header ${name} is there twice`);
    given[name] = values.join(', ');
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    const unknown = binding.find((name) => !(name in schema.properties) && request.headersDistinct[name.toLowerCase()] !== undefined);
    if (unknown !== undefined)
      throw new BitacoraError('bad-request', `${unknown} is not understood here, and a write may not pass it over`);
  }
  return check(schema, given, 'the header');
}

/** Of a parameter that is `1`, `0`, `true` or `false`. */
export function isSet(flag: '1' | '0' | 'true' | 'false' | undefined): boolean {
  return flag === '1' || flag === 'true';
}
