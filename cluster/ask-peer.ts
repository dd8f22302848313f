/** One question to one peer over HTTP, bounded in time and in the size of its answer. */
import { type Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import type { PeerReply } from './peer-answer.ts';

export interface Question {
  readonly host: string;
  readonly port: number;
  readonly key: string;
  readonly agent: Agent;
  readonly headers: Readonly<Record<string, string>>;
  readonly maxAnswerBytes: number;
  /** Ends the question; its reason is the rejection. */
  readonly signal: AbortSignal;
}

/**
 * Rejects with whatever went wrong. A question that met a connection which its peer had just closed is asked once more: keep-alive makes
 * that an everyday event, and it says nothing about the peer.
 */
export async function askPeer(question: Question): Promise<PeerReply> {
  const first = { stale: false };
  try {
    return await askOnce(question, first);
  } catch (error) {
    if (!first.stale || question.signal.aborted) throw error;
    return askOnce(question, { stale: false });
  }
}

function askOnce(question: Question, attempt: { stale: boolean }): Promise<PeerReply> {
  const { host, port, agent, signal } = question;
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host,
      port,
      agent,
      signal,
      path: `/rpc/cluster?key=${encodeURIComponent(question.key)}`,
      headers: { ...question.headers, accept: 'application/vnd.bitacora+json, application/json' },
    });
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      attempt.stale = outgoing.reusedSocket && error.code === 'ECONNRESET';
      reject(error);
    });
    outgoing.on('response', (incoming) => collect(incoming, question.maxAnswerBytes).then(resolve, reject));
    outgoing.end();
  });
}

function collect(incoming: IncomingMessage, maxBytes: number): Promise<PeerReply> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    incoming.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > maxBytes) incoming.destroy(new Error(`the answer is over ${maxBytes} bytes`));
      else chunks.push(chunk);
    });
    incoming.on('error', reject);
    // Without its end an answer is no answer; after the end this changes nothing.
    incoming.on('close', () => reject(new Error('the answer ended early')));
    incoming.on('end', () => {
      resolve({
        status: incoming.statusCode ?? 0,
        applied: single(incoming.headers, 'bitacora-applied'),
        genesis: single(incoming.headers, 'bitacora-genesis'),
        body: Buffer.concat(chunks),
      });
    });
  });
}

function single(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}
