/** Asks another node what it says of itself: one question, bounded in bytes, ended by its signal. */
import { type IncomingMessage, request } from 'node:http';

/** A node's word on itself takes some hundred bytes. */
const maxBytes = 64 * 1024;

/** What it said, as parsed JSON, unchecked. Rejects with whatever went wrong. */
export function askMember(address: string, signal: AbortSignal, path = '/v1/node'): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`http://${address}${path}`, { signal, agent: false, headers: { accept: 'application/json' } });
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => collect(incoming).then(resolve, reject));
    outgoing.end();
  });
}

function collect(incoming: IncomingMessage): Promise<unknown> {
  return new Promise((resolve, reject) => {
    if (incoming.statusCode !== 200) incoming.destroy(new Error(`it answered ${incoming.statusCode}`));
    const chunks: Buffer[] = [];
    let length = 0;
    incoming.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > maxBytes) incoming.destroy(new Error(`its answer is over ${maxBytes} bytes`));
      else chunks.push(chunk);
    });
    incoming.on('error', reject);
    // Without its end an answer is none; after the end this changes nothing.
    incoming.on('close', () => reject(new Error('its answer ended early')));
    incoming.on('end', () => {
      try {
        resolve(JSON.parse(Buffer.concat(chunks).toString()));
      } catch (error) {
        reject(new Error('its answer is no JSON', { cause: error }));
      }
    });
  });
}
