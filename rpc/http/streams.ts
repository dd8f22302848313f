/**
 * Answers that have no end of their own: watches. They end when their client goes away or the node drains, and what they last says nothing
 * about how fast the node answers.
 */
import type { ServerResponse } from 'node:http';
import { BitacoraError } from '../../src/core/errors.ts';
import type { Connections } from './connections.ts';
import { manyMayListen } from './wait.ts';

export class Streams {
  readonly #connections: Connections;
  readonly #open = new Set<AbortController>();
  readonly #begun = new WeakMap<ServerResponse, number>();
  readonly #whenDraining: (() => void)[] = [];

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  /** One for a request: aborted when its client goes away (`closed`) or the node drains (`draining`); its owner may abort it too. */
  open(response: ServerResponse): AbortController {
    const ending = new AbortController();
    manyMayListen(ending.signal);
    if (this.#connections.draining) ending.abort(leaving());
    this.#open.add(ending);
    response.once('close', () => {
      this.#open.delete(ending);
      ending.abort(new BitacoraError('closed', 'the caller is gone'));
    });
    return ending;
  }

  /** To be asked when the headers of a stream are written: are they to say that it is the connection's last answer? */
  begin(response: ServerResponse): boolean {
    this.#begun.set(response, performance.now());
    return this.#connections.makeLast(response.req.socket, response);
  }

  /** When the first bytes of a stream left; undefined: it is none. */
  begunAt(response: ServerResponse): number | undefined {
    return this.#begun.get(response);
  }

  /** `then` runs when the streams are ended because the node drains. */
  onDrain(then: () => void): void {
    this.#whenDraining.push(then);
  }

  /** All are ended at once, so that their clients go on elsewhere while this node finishes what else it has to do. */
  drain(): void {
    for (const ending of this.#open) ending.abort(leaving());
    for (const then of this.#whenDraining) then();
  }
}

function leaving(): BitacoraError {
  return new BitacoraError('draining', 'the node is going away');
}
