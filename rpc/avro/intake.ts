/** What comes in on one connection: frames as they are whole, begun one after another for as long as the bounds allow; the socket is not read while frames wait. */
import type { Socket } from 'node:net';
import { type Frame, type FrameLimits, FrameReader } from '../../wire/avro/frames.ts';

export interface IntakeOptions {
  readonly limits: FrameLimits;
  /** Takes a frame. What it throws comes out of `push` and `goOn`, and the stream is lost. */
  readonly begin: (frame: Frame) => void;
  /** No further frame may be begun now; `goOn` is called when it may. */
  readonly isFull: () => boolean;
  /** Calls `goOn`, in another turn of the event loop. */
  readonly later: () => void;
}

/** Frames of one connection begun in one turn of the event loop: then others have theirs. */
const mostPerTurn = 512;

export class Intake {
  readonly #socket: Socket;
  readonly #options: IntakeOptions;
  readonly #reader: FrameReader;
  /** Frames that have come; those from `#next` on are not begun. At most what one chunk of the socket held. */
  #frames: readonly Frame[] = [];
  #next = 0;
  #reading = true;
  /** Since when (monotonic ms) it has been read without a break. */
  #readSince = Number.NEGATIVE_INFINITY;
  #scheduled = false;
  #frameSince: number | undefined;

  constructor(socket: Socket, options: IntakeOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#reader = new FrameReader(options.limits);
  }

  get inFrame(): boolean {
    return this.#reader.inFrame;
  }

  /** For how long (ms, at this monotonic time) everything that came was begun at once; less than 0: something waits, or is not read. */
  quietFor(now: number): number {
    return this.#reading && this.#isEmpty() ? now - this.#readSince : -1;
  }

  /** Since when (monotonic ms) the other side owes the rest of a frame; undefined: it does not, or could not send it. */
  get frameSince(): number | undefined {
    return this.#reading ? this.#frameSince : undefined;
  }

  /** Errors: `bad-request` for what are no frames. */
  push(chunk: Buffer, now: number): void {
    const frames = this.#reader.push(chunk);
    if (!this.#reader.inFrame) this.#frameSince = undefined;
    else if (frames.length > 0 || this.#frameSince === undefined) this.#frameSince = now;
    this.#frames = this.#isEmpty() ? frames : [...this.#frames.slice(this.#next), ...frames];
    this.#next = 0;
    this.goOn();
  }

  /** Begins what waits, as far as it may, and reads on when nothing waits any more. */
  goOn(): void {
    const { begin, isFull } = this.#options;
    const last = Math.min(this.#frames.length, this.#next + mostPerTurn);
    while (this.#next < last && !isFull()) begin(this.#frames[this.#next++] as Frame);
    if (isFull()) this.#pause();
    else if (this.#isEmpty()) this.#read();
    else this.#yield();
  }

  #isEmpty(): boolean {
    return this.#next === this.#frames.length;
  }

  #read(): void {
    this.#frames = [];
    this.#next = 0;
    if (this.#reading) return;
    this.#reading = true;
    this.#readSince = performance.now();
    if (this.#frameSince !== undefined) this.#frameSince = this.#readSince;
    this.#socket.resume();
  }

  #pause(): void {
    this.#reading = false;
    this.#socket.pause();
  }

  #yield(): void {
    this.#pause();
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#options.later();
    });
  }
}
