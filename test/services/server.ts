/**
 * One server that a test may hurt: a process or a container of our own.
 *
 * `jvm.ts` and `container.ts` implement it; `kafka.ts` and `zookeeper.ts` build services from it.
 */
import { setTimeout as delay } from 'node:timers/promises';

export interface Server {
  readonly name: string;

  /** Launches the server, on the same ports and data every time. Does not wait until it answers: see {@link untilReady}. */
  start(): Promise<void>;

  /** Freezes it: connections stay open and nothing is answered. */
  pause(): Promise<void>;

  /** Ends a freeze. */
  resume(): Promise<void>;

  /** Ends it at once, as a power cut would, also while paused; resolves when it is gone. Nothing happens when it is gone already. */
  kill(): Promise<void>;

  /** Asks it to end in order, and kills it after a bounded wait; resolves when it is gone. */
  terminate(): Promise<void>;

  /** Ends it at once and deletes its data. Idempotent; nothing else may be called afterwards. */
  dispose(): Promise<void>;

  /** How it ended, when it is not running. */
  ended(): Promise<string | undefined>;

  /** The end of what it wrote on its output. */
  logTail(): Promise<string>;
}

/** How long a server may take until it answers, in milliseconds. */
export const readyLimitMs = 60_000;

/**
 * Waits until `answers` resolves, asking again after every failure.
 *
 * @throws Error with the reason and the tail of the server's log when the server ends or {@link readyLimitMs} pass.
 */
export async function untilReady(server: Server, answers: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + readyLimitMs;
  for (;;) {
    const refusal = await answers().then(
      () => undefined,
      (error: unknown) => error,
    );
    if (refusal === undefined) return;
    const end = await server.ended();
    if (end !== undefined) throw await startFailure(server, `it ended: ${end}`, refusal);
    if (performance.now() > deadline) throw await startFailure(server, `it did not answer within ${readyLimitMs} ms`, refusal);
    await delay(100);
  }
}

async function startFailure(server: Server, reason: string, cause: unknown): Promise<Error> {
  return new Error(`${server.name} did not start: ${reason}. The end of its log:\n${await server.logTail()}`, { cause });
}
