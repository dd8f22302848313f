/** What a request target says: whether it is of `/v1`, and its key, the whole rest of the path, decoded once and never normalised. */
import { BitacoraError } from '../../../src/core/errors.ts';
import { decodePath } from '../query.ts';

/**
 * The key in a target of the template `/v1/kv/{key}`: of `/v1/kv/a//b` it is `a//b`, of `/v1/kv/../x` it is `../x`, and `+` is itself. What
 * a key may be, the key-value service decides. Errors: `bad-request`.
 */
export function keyOf(url: string, template: string): string {
  const path = pathOf(url);
  if (path.includes('#')) throw new BitacoraError('bad-request', 'a # in the address must be written as %23');
  return decodePath(path.slice(template.indexOf('{')));
}

/** Without query; of a target in absolute form, as proxies send it, without scheme and host. */
export function pathOf(url: string): string {
  const query = url.indexOf('?');
  const target = query < 0 ? url : url.slice(0, query);
  if (target.startsWith('/')) return target;
  return /^[a-z][a-z0-9+.-]*:\/\/[^/]*(\/.*)$/is.exec(target)?.[1] ?? target;
}

/** True for what tells its failures as problems, whether or not there is such a path. */
export function isV1(url: string): boolean {
  return /^\/(?:v1(?:\/|$)|openapi\.json$|docs(?:\/|$))/.test(pathOf(url));
}
