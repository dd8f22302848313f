/** HTTP calls as plain as they get: one connection each, so that no earlier call's connection decides the fate of this one. */
import { type Agent, type IncomingHttpHeaders, request } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface CallOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly limitMs?: number;
  readonly agent?: Agent;
}

/** Rejects when there was no answer. */
export function call(url: string, method: string, path: string, options: CallOptions = {}): Promise<Answer> {
  const { headers = {}, body, limitMs = 30_000, agent } = options;
  return new Promise((resolve, reject) => {
    const outgoing = request(`${url}${path}`, { method, headers, agent: agent ?? false, signal: AbortSignal.timeout(limitMs) });
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      let text = '';
      incoming.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      incoming.on('error', reject);
      incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: text }));
    });
    outgoing.end(body);
  });
}

interface At {
  readonly url: string;
}

const query = (key: string): string => `/rpc?key=${encodeURIComponent(key)}`;

export const get = ({ url }: At, key: string, options?: CallOptions): Promise<Answer> => call(url, 'GET', query(key), options);

export const put = ({ url }: At, key: string, value: string, options?: CallOptions): Promise<Answer> =>
  call(url, 'POST', `${query(key)}&value=${encodeURIComponent(value)}`, options);

export const remove = ({ url }: At, key: string, options?: CallOptions): Promise<Answer> => call(url, 'DELETE', query(key), options);

/** What a node says to another node. */
export const getOwn = ({ url }: At, key: string): Promise<Answer> =>
  call(url, 'GET', `/rpc/cluster?key=${encodeURIComponent(key)}`, { headers: { accept: 'application/vnd.bitacora+json' } });

/** The body of an answer that found something. */
export interface Found {
  readonly key: string;
  readonly value: string;
  readonly timestamp: number;
  /** 1 from the log, 2 from a peer. */
  readonly source: number;
  readonly ttl: number;
  readonly uuid: string;
  readonly version?: string;
}

export function found(answer: Answer): Found {
  if (answer.status !== 200) throw new Error(`status ${answer.status}: ${answer.body}`);
  return JSON.parse(answer.body) as Found;
}

/** The value a node serves; undefined: 404. */
export async function valueAt(node: At, key: string): Promise<string | undefined> {
  const answer = await get(node, key);
  return answer.status === 404 ? undefined : found(answer).value;
}

/** `code` of an error's body. */
export const codeIn = (answer: Answer): string => (JSON.parse(answer.body) as { code: string }).code;
