/**
 * Which connections there are and what is owed on each.
 *
 * HTTP/1.1 lets a client send its next requests before it has the first answer, so "this is the last answer" (`Connection: close`) may
 * only be said when nothing else is owed on the connection: Node drops what it has read after such an answer, and a write that was
 * done would look failed. Invariant: after an answer that closes, no further request of the connection is begun.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

interface Connection {
  /** Requests begun and not yet answered, but for hot reads, which are answered at once. */
  owed: number;
  /** Of the newest request begun: Node sends answers in the order of their requests, so it leaves last. */
  newest: ServerResponse | undefined;
  /** No further request is begun. */
  closing: boolean;
  /** Runs when nothing is owed any more. */
  whenSettled: (() => void) | undefined;
}

export class Connections {
  readonly #all = new Map<Socket, Connection>();
  #draining = false;
  #graceOver = false;
  #whenEmpty: (() => void) | undefined;

  get draining(): boolean {
    return this.#draining;
  }

  get size(): number {
    return this.#all.size;
  }

  opened(socket: Socket): void {
    this.#all.set(socket, { owed: 0, newest: undefined, closing: false, whenSettled: undefined });
    socket.once('close', () => {
      this.#all.delete(socket);
      if (this.#all.size === 0) this.#whenEmpty?.();
    });
  }

  /** False: the connection is closing, and the request must not be begun. */
  begin(socket: Socket, response: ServerResponse): boolean {
    const connection = this.#all.get(socket);
    if (connection === undefined || connection.closing) return false;
    connection.owed++;
    connection.newest = response;
    return true;
  }

  /** The answer has left, or nobody waits for it any more. */
  settled(socket: Socket): void {
    const connection = this.#all.get(socket);
    if (connection === undefined || --connection.owed > 0) return;
    const then = connection.whenSettled;
    connection.whenSettled = undefined;
    then?.();
    if (this.#graceOver) socket.destroySoon();
  }

  owed(socket: Socket): number {
    return this.#all.get(socket)?.owed ?? 0;
  }

  /** The answer of the newest request begun. */
  newest(socket: Socket): ServerResponse | undefined {
    return this.#all.get(socket)?.newest;
  }

  isClosing(socket: Socket): boolean {
    return this.#all.get(socket)?.closing ?? true;
  }

  /** No further request of this connection is begun. `then` runs once nothing is owed on it; at once when that is so. */
  stop(socket: Socket, then?: () => void): void {
    const connection = this.#all.get(socket);
    if (connection === undefined) return;
    connection.closing = true;
    if (then === undefined) return;
    if (connection.owed === 0) then();
    else connection.whenSettled = then;
  }

  /** To be asked when headers are written: is this the connection's last answer? */
  isLastAnswer(socket: Socket, response: ServerResponse): boolean {
    const connection = this.#all.get(socket);
    if (connection === undefined) return true;
    if (!this.#draining || connection.newest !== response) return false;
    connection.closing = true;
    return true;
  }

  /** Of an answer that has no end of its own. True: it is the connection's last; false: the client has sent more behind it already. */
  makeLast(socket: Socket, response: ServerResponse): boolean {
    const connection = this.#all.get(socket);
    if (connection === undefined) return true;
    if (connection.newest !== response) return false;
    connection.closing = true;
    return true;
  }

  /**
   * Lets every connection end by itself: the next answer is its last. Connections on which nothing is owed have `idleGraceMs` for a
   * request that is already on its way; whatever is left after `limitMs` is cut. Resolves when no connection is left.
   */
  async drain(idleGraceMs: number, limitMs: number): Promise<void> {
    this.#draining = true;
    const timers = [setTimeout(() => this.#closeIdle(), Math.min(idleGraceMs, limitMs)), setTimeout(() => this.destroyAll(), limitMs)];
    await new Promise<void>((resolve) => {
      this.#whenEmpty = resolve;
      if (this.#all.size === 0) resolve();
    });
    for (const timer of timers) clearTimeout(timer);
  }

  #closeIdle(): void {
    this.#graceOver = true;
    for (const [socket, connection] of this.#all) {
      if (connection.owed > 0) continue;
      connection.closing = true;
      // What was answered at once may still be leaving.
      socket.destroySoon();
    }
  }

  destroyAll(): void {
    for (const socket of this.#all.keys()) socket.destroy();
  }
}
