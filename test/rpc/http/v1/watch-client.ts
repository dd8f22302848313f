/** A watcher over a real socket. */
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { expect } from 'vitest';

/** A server-sent event; comments have none of it. */
export interface Told {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: Record<string, unknown>;
}

export interface Stream {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Bytes as they came. */
  text(): string;
  events(): Told[];
  /** Resolves with so many events. */
  many(count: number): Promise<Told[]>;
  /** What a browser would send as `Last-Event-ID`. */
  lastId(): string;
  /** True: the server has ended it in order; undefined: it goes on. */
  ended(): boolean | undefined;
  response: IncomingMessage;
  leave(): void;
}

const opened: Stream[] = [];

export function leaveAll(): void {
  for (const stream of opened.splice(0)) stream.leave();
}

export function openStream(port: number, path: string, headers: Record<string, string> = {}): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path, headers, agent: false });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      let text = '';
      let ended: boolean | undefined;
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', () => undefined);
      response.on('close', () => {
        ended = response.complete;
      });
      const blocks = () => text.split('\n\n').slice(0, -1);
      const stream: Stream = {
        status: response.statusCode ?? 0,
        headers: response.headers,
        text: () => text,
        events: () => blocks().flatMap(eventIn),
        async many(count) {
          await expect.poll(() => stream.events().length, { timeout: 5_000 }).toBeGreaterThanOrEqual(count);
          return stream.events();
        },
        lastId: () => /.*\nid: ([^\n]*)\n/s.exec(text)?.[1] ?? '',
        ended: () => ended,
        response,
        leave: () => outgoing.destroy(),
      };
      opened.push(stream);
      resolve(stream);
    });
    outgoing.end();
  });
}

function eventIn(block: string): Told[] {
  const field = (name: string) => new RegExp(`(?:^|\\n)${name}: ([^\\n]*)`).exec(block)?.[1];
  const event = field('event');
  return event === undefined ? [] : [{ event, id: field('id'), data: JSON.parse(field('data') ?? '') as Record<string, unknown> }];
}
