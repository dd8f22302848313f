/** One call to one node's `/v1`, for the commands that operate nodes. */
import { type IncomingMessage, request } from 'node:http';

/** What a node answered: the JSON of its body, undefined when it has none. */
export interface NodeAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Rejects when there was no answer, or its body is no JSON. */
export function callNode(url: string, method: 'GET' | 'POST', path: string, timeoutMs: number): Promise<NodeAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${url.replace(/\/$/, '')}${path}`, { method, agent: false, timeout: timeoutMs });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer in ${timeoutMs} ms`)));
    outgoing.on('error', reject);
    outgoing.on('response', (incoming: IncomingMessage) => {
      let text = '';
      incoming.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      incoming.on('error', reject);
      incoming.on('end', () => {
        try {
          resolve({ status: incoming.statusCode ?? 0, body: text === '' ? undefined : JSON.parse(text) });
        } catch (error) {
          reject(error as Error);
        }
      });
    });
    outgoing.end();
  });
}

/** What a node that refused said, in one line. */
export function refusalOf({ status, body }: NodeAnswer): string {
  const { code, detail } = (body ?? {}) as { code?: string; detail?: string };
  return code === undefined ? `the node answered ${status}` : `${code}: ${detail ?? ''}`;
}
