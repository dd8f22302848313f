/** A running `/v1` over a key-value service in memory that follows a log with a uuid, and calls that keep the bytes of an answer. */
import { type IncomingHttpHeaders, request } from 'node:http';
import { type Call, type Running, startServer } from '../start-server.ts';
import { conforms } from './conformance.ts';

export const genesis = '8f14e45f-ceea-467f-a8d5-2f0a5b1c9d3e';

export async function startV1(...options: Parameters<typeof startServer>): Promise<Running> {
  const running = await startServer(...options);
  running.keyValue.statusChange = { genesis };
  return running;
}

export interface BytesReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  /** The body as JSON; an error when it is none. */
  json(): Record<string, unknown>;
}

/** The target is sent as it stands. Rejects when the answer is none that the document tells of. */
export function ask(port: number, path: string, options: Call = {}): Promise<BytesReply> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, agent = false } = options;
    const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(chunks);
        const text = bytes.toString();
        const reply = { status: response.statusCode ?? 0, headers: response.headers, bytes, text, json: () => JSON.parse(text) };
        try {
          conforms(method, path, reply);
          resolve(reply);
        } catch (error) {
          reject(error);
        }
      });
    });
    outgoing.on('error', reject);
    outgoing.end(options.body);
  });
}
