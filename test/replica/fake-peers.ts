/** Other nodes as a test wants them: each answers after its time, or never; questions end at their limit or on the caller's signal. */
import { bytesOf } from '../../src/core/bytes.ts';
import type { Clock, KeyValue, Millis, Offset, PeerAnswer, Peers } from '../../src/ports.ts';

/** One peer's answer to any question. */
export interface FakePeer {
  readonly afterMs: number;
  readonly answer: (key: string) => PeerAnswer | Promise<PeerAnswer>;
}

export interface FakePeers extends Peers {
  readonly members: FakePeer[];
  /** Keys asked for, in order. */
  readonly questions: string[];
  closed: boolean;
}

export function fakePeers(clock: Clock, ...members: FakePeer[]): FakePeers {
  const questions: string[] = [];
  const peers: FakePeers = {
    members,
    questions,
    closed: false,
    ask(key, timeoutMs, signal) {
      questions.push(key);
      return ask(clock, members, key, timeoutMs, signal);
    },
    async close() {
      peers.closed = true;
    },
  };
  return peers;
}

async function* ask(clock: Clock, members: readonly FakePeer[], key: string, timeoutMs: number, signal?: AbortSignal) {
  const come: PeerAnswer[] = [];
  let missing = members.length;
  let over = signal?.aborted ?? false;
  let wake: () => void = () => undefined;
  const end = () => {
    over = true;
    wake();
  };
  const cancels = members.map(({ afterMs, answer }) =>
    clock.after(afterMs, async () => {
      come.push(await answer(key));
      missing--;
      wake();
    }),
  );
  cancels.push(clock.after(timeoutMs, end));
  signal?.addEventListener('abort', end, { once: true });
  while (!over) {
    const next = come.shift();
    if (next !== undefined) yield next;
    else if (missing === 0) break;
    else
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  }
  for (const cancel of cancels) cancel();
}

/** A peer that answers the same always; `value` undefined: it does not have the key. */
export function saying(next: number | undefined, value?: string, afterMs = 1, more: { time?: number; genesis?: string } = {}): FakePeer {
  const { time = 1, genesis } = more;
  const found = { value: bytesOf(value ?? ''), version: undefined, time: time as Millis, expires: 0 as Millis, id: '', contentType: '' };
  const answer = { from: `peer-${next}`, next: next as Offset | undefined, genesis, found: value === undefined ? undefined : found };
  return { afterMs, answer: () => answer };
}

/** Another node of the same process. */
export function asking(node: KeyValue, afterMs = 1): FakePeer {
  return {
    afterMs,
    answer: async (key) => {
      const { found, applied } = await node.readLocal(key);
      return { from: 'node', next: applied.offset, genesis: node.status.genesis, found };
    },
  };
}
