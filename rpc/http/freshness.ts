/** The headers that say which node answered and how far behind the log it is, on every answer about a key. */
import type { KeyValue } from '../../src/ports.ts';

/** A status costs more than a hot read, and a lag of this age says the same, in milliseconds. */
const validMs = 100;

/** The list is made anew at most every 100 ms. */
export function createFreshness(keyValue: KeyValue, node: string): () => readonly string[] {
  let headers: readonly string[] = [];
  let madeAt = Number.NEGATIVE_INFINITY;
  return () => {
    const now = performance.now();
    if (now - madeAt > validMs) {
      headers = ['Bitacora-Node', node, 'Bitacora-Lag-Ms', String(Math.round(keyValue.status.lagMs))];
      madeAt = now;
    }
    return headers;
  };
}
