/** Calls to `/v1`, as short as a test wants them. */
import { type Answer, call } from './calls.ts';

interface At {
  readonly url: string;
}

type Headers = Readonly<Record<string, string>>;

const pathOf = (key: string, query = ''): string => `/v1/kv/${encodeURIComponent(key)}${query}`;

export const v1Get = ({ url }: At, key: string, query = '', headers: Headers = {}): Promise<Answer> =>
  call(url, 'GET', pathOf(key, query), { headers });

export const v1Put = ({ url }: At, key: string, value: string, headers: Headers = {}): Promise<Answer> =>
  call(url, 'PUT', pathOf(key), { headers, body: value });

/** The version in an answer's ETag; undefined: it has none. */
export const versionIn = ({ headers }: Answer): string | undefined => headers.etag?.replace(/^"([^@"]*).*$/, '$1');

/** The session token of an answer. */
export function tokenIn({ status, headers, body }: Answer): string {
  const token = headers['bitacora-position'];
  if (typeof token !== 'string') throw new Error(`no position in an answer ${status}: ${body}`);
  return token;
}
