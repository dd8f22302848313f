/**
 * A line between two processes that a test may hurt: cut, held, slowed down, in one direction or both.
 *
 * What is held is not lost: TCP would send it again when the line is back, so bytes wait here, in order. A connection that is made while a
 * line is held is accepted and hears nothing, as behind a firewall that drops; while it is closed, it is reset.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { atCleanUp } from './clean-up.ts';

/** What happens to the bytes of one direction. */
export interface Way {
  /** Nothing passes. */
  readonly held?: boolean;
  /** Each piece takes so long. */
  readonly delayMs?: number;
  readonly bytesPerSecond?: number;
}

export interface TcpProxy {
  /** `host:port` to be used instead of the server. */
  readonly address: string;
  /** From now on, for connections old and new. Without arguments all is well again. */
  set(toServer?: Way, toClient?: Way): void;
  /** Resets all connections; while `closed`, new ones too. */
  cut(closed: boolean): void;
}

export interface ProxyOptions {
  /** `host:port`. */
  readonly server: string;
  /** Turns what a server sends into what the client gets; one for each connection. */
  readonly rewriting?: () => (chunk: Buffer) => readonly Buffer[];
}

/** More than this is not taken from a sender whose bytes are not passed on. */
const mostWaiting = 4 * 1024 * 1024;

export async function startTcpProxy({ server: upstream, rewriting }: ProxyOptions): Promise<TcpProxy> {
  const [host, port] = upstream.split(':') as [string, string];
  const pipes = new Set<Pipe>();
  const sockets = new Set<Socket>();
  let ways: readonly [Way, Way] = [{}, {}];
  let closed = false;
  const server = createServer((client) => {
    if (closed) {
      client.resetAndDestroy();
      return;
    }
    const target = connect({ host, port: Number(port) });
    const passing = [new Pipe(client, target, ways[0]), new Pipe(target, client, ways[1], rewriting?.())];
    for (const pipe of passing) pipes.add(pipe);
    for (const socket of [client, target]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      // What ends a connection ends it on both sides, and that is all there is to it here.
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        for (const pipe of passing) pipes.delete(pipe);
        client.destroy();
        target.destroy();
      });
    }
  });
  const own = await listening(server, host);
  const cut = (isClosed: boolean): void => {
    closed = isClosed;
    for (const socket of sockets) socket.resetAndDestroy();
  };
  atCleanUp(() => {
    server.close();
    cut(true);
  });
  return {
    address: `${host}:${own}`,
    set(toServer = {}, toClient = {}) {
      ways = [toServer, toClient];
      let i = 0;
      // Of each connection first the way to the server.
      for (const pipe of pipes) pipe.set(ways[i++ % 2] as Way);
    },
    cut,
  };
}

async function listening(server: Server, host: string): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return (server.address() as { port: number }).port;
}

/** One direction of one connection. */
class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  #way: Way;
  #queue: { chunk: Buffer; due: number }[] = [];
  #waiting = 0;
  /** A slow line is busy with what has passed until then. */
  #freeAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, way: Way, rewrite?: (chunk: Buffer) => readonly Buffer[]) {
    this.#from = from;
    this.#to = to;
    this.#way = way;
    from.on('data', (chunk: Buffer) => {
      for (const piece of rewrite?.(chunk) ?? [chunk]) this.#take(piece);
    });
    from.on('close', () => clearTimeout(this.#timer));
  }

  set(way: Way): void {
    this.#way = way;
    this.#freeAt = 0;
    const due = performance.now() + (way.delayMs ?? 0);
    for (const waiting of this.#queue) waiting.due = Math.min(waiting.due, due);
    this.#pass();
  }

  #take(chunk: Buffer): void {
    this.#queue.push({ chunk, due: performance.now() + (this.#way.delayMs ?? 0) });
    this.#waiting += chunk.length;
    if (this.#waiting > mostWaiting) this.#from.pause();
    this.#pass();
  }

  #pass(): void {
    clearTimeout(this.#timer);
    for (let first = this.#queue[0]; first !== undefined && this.#way.held !== true; first = this.#queue[0]) {
      const waitMs = Math.max(first.due, this.#freeAt) - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#pass(), waitMs);
        return;
      }
      this.#queue.shift();
      this.#waiting -= first.chunk.length;
      if (!this.#to.destroyed) this.#to.write(first.chunk);
      const { bytesPerSecond } = this.#way;
      if (bytesPerSecond !== undefined) this.#freeAt = performance.now() + (1_000 * first.chunk.length) / bytesPerSecond;
    }
    if (this.#waiting <= mostWaiting) this.#from.resume();
  }
}
