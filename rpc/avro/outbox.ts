/** Answers on their way out of one connection: those of one turn of the event loop leave in one write, and what is not taken piles up in sight. */
import type { Socket } from 'node:net';
import { type Encode, FrameWriter } from '../../wire/avro/frames.ts';

export class Outbox {
  readonly #socket: Socket;
  readonly #mostBytes: number;
  readonly #writer = new FrameWriter();
  #scheduled = false;
  #piledSince: number | undefined;

  /** Answers count as piled up above `mostBytes`, and above what the socket itself takes before it says that it is full. */
  constructor(socket: Socket, mostBytes: number, whenTaken: () => void) {
    this.#socket = socket;
    this.#mostBytes = mostBytes;
    socket.on('drain', () => {
      this.#piledSince = undefined;
      whenTaken();
    });
  }

  /** Since when (monotonic ms) more waits for the client than it should; undefined: it takes its answers. */
  get piledSince(): number | undefined {
    return this.#piledSince;
  }

  /** No more answers should be made. What was gathered leaves early when it is much. */
  isFull(): boolean {
    if (this.#writer.length >= this.#mostBytes) this.flush();
    return this.#piledSince !== undefined;
  }

  /** An error of a part leaves nothing behind. */
  add(serial: number, parts: readonly Encode[]): void {
    this.#writer.add(serial, ...parts);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  flush(): void {
    if (this.#writer.length === 0 || !this.#socket.writable) return;
    const room = this.#socket.write(this.#writer.take());
    // Said to be full and yet empty: the kernel took it all, and `drain` is on its way.
    if (!room && this.#socket.writableLength > this.#mostBytes) this.#piledSince ??= performance.now();
  }
}
