/** One call to one node's `/v1`, for the commands that operate nodes. */
import { type IncomingMessage, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

/** What a node answered: the JSON of its body, undefined when it has none. */
export interface NodeAnswer {
  readonly status: number;
  readonly body: unknown;
  /** When, by the node's clock and to the second, in ms since 1970; NaN: it does not say. */
  readonly date: number;
}

/** Rejects when there was no answer, or its body is no JSON. */
export function callNode(url: string, method: 'GET' | 'POST' | 'DELETE', path: string, timeoutMs: number): Promise<NodeAnswer> {
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
          const { statusCode: status = 0, headers } = incoming;
          resolve({ status, body: text === '' ? undefined : JSON.parse(text), date: Date.parse(headers.date ?? '') });
        } catch (error) {
          reject(error as Error);
        }
      });
    });
    outgoing.end();
  });
}

const askEveryMs = 200;
/** A node that was told to make its state anew may look ready for so long. */
const noticeMs = 2_000;

/** Asks a node that makes its state anew until it is ready; false: not in time. Rejects when it cannot be asked. */
export async function untilReady(url: string, timeoutMs: number, show: (progress: number) => void): Promise<boolean> {
  const began = performance.now();
  for (let wasAway = false; performance.now() - began < timeoutMs; await pause(askEveryMs)) {
    const { body } = await callNode(url, 'GET', '/v1/node', 30_000);
    const { ready, progress } = body as { ready: boolean; progress: number };
    if (ready && (wasAway || performance.now() - began > noticeMs)) return true;
    wasAway ||= !ready;
    show(progress);
  }
  return false;
}

/** What a node that refused said, in one line. */
export function refusalOf({ status, body }: NodeAnswer): string {
  const { code, detail } = (body ?? {}) as { code?: string; detail?: string };
  return code === undefined ? `the node answered ${status}` : `${code}: ${detail ?? ''}`;
}
