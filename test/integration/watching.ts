/** A watcher as a browser is one: it comes back by itself, with the id of the last event that carried one. */
import { type ClientRequest, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { atCleanUp } from './clean-up.ts';

export interface WatchedEvent {
  readonly event: string;
  /** Undefined: there is no place to resume. */
  readonly id: string | undefined;
  readonly data: Readonly<Record<string, unknown>>;
}

/** One connection of a watcher. */
export interface Connection {
  /** `Bitacora-Node`. */
  readonly node: string;
  /** What it was resumed with. */
  readonly from: string;
  readonly events: WatchedEvent[];
}

export interface Watcher {
  readonly connections: readonly Connection[];
  /** Of all connections, in their order. */
  readonly events: readonly WatchedEvent[];
  /** Answers that were no stream. */
  readonly refused: readonly number[];
  stop(): void;
}

const retryMs = 200;

/** `url`: of a node, or of the one for the next connection. */
export function startWatcher(url: string | (() => string), query: string): Watcher {
  const connections: Connection[] = [];
  const events: WatchedEvent[] = [];
  const refused: number[] = [];
  let lastId = '';
  let stopped = false;
  let outgoing: ClientRequest | undefined;

  function take(connection: Connection, block: string): void {
    let event = 'message';
    let data = '';
    let id: string | undefined;
    for (const line of block.split('\n')) {
      if (line.startsWith('id: ')) id = lastId = line.slice(4);
      else if (line.startsWith('event: ')) event = line.slice(7);
      else if (line.startsWith('data: ')) data += line.slice(6);
    }
    if (data === '') return;
    const told = { event, id, data: JSON.parse(data) as WatchedEvent['data'] };
    connection.events.push(told);
    events.push(told);
  }

  function connectOnce(): Promise<void> {
    return new Promise((resolve) => {
      const from = lastId;
      const headers: Record<string, string> = { accept: 'text/event-stream', ...(lastId === '' ? {} : { 'last-event-id': lastId }) };
      outgoing = request(`${typeof url === 'string' ? url : url()}/v1/watch?${query}`, { headers, agent: false });
      outgoing.on('error', () => resolve());
      outgoing.on('response', (response) => {
        const status = response.statusCode ?? 0;
        const connection = { node: String(response.headers['bitacora-node']), from, events: [] };
        if (status === 200) connections.push(connection);
        else refused.push(status);
        let rest = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          const blocks = (rest + chunk).split('\n\n');
          // What was cut off in the middle was not told.
          rest = blocks.pop() ?? '';
          if (status === 200) for (const block of blocks) take(connection, block);
        });
        response.on('error', () => resolve());
        response.on('close', () => resolve());
      });
      outgoing.end();
    });
  }

  void (async () => {
    while (!stopped) {
      await connectOnce();
      if (!stopped) await pause(retryMs);
    }
  })();
  const stop = (): void => {
    stopped = true;
    outgoing?.destroy();
  };
  atCleanUp(stop);
  return { connections, events, refused, stop };
}
