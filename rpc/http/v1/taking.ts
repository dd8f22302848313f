/** How fast a stream is taken by its client: the node writes no further than that. */
import type { ServerResponse } from 'node:http';

/** Resolves when the client has taken what was sent, or is gone. Silence of `limitMs` is a `timeout` of the response. */
export async function taken(response: ServerResponse, limitMs: number): Promise<void> {
  // Node knows how much of a large write has left: a slow client is not a silent one.
  response.setTimeout(limitMs);
  await new Promise<void>((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
    if (!response.writableNeedDrain || response.destroyed) done();
  });
  response.setTimeout(0);
}
