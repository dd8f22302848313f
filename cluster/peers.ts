/**
 * Questions to the other nodes over HTTP: all at once, each answer as it comes.
 *
 * A question outlives the interest in it. When the caller has heard enough, the others run on to their own time limit, so that
 * connections stay usable and a peer that never answers is found out. Invariant: at most `maxInFlight` questions are under way; above
 * that a peer is left out and not queued, because a queue would only deliver answers nobody waits for any more.
 */
import { Agent } from 'node:http';
import type { Clock, Logger, Member, PeerAnswer, Peers } from '../src/ports.ts';
import { parseAddress } from '../wire/address.ts';
import { AnswerStream } from './answer-stream.ts';
import { askPeer } from './ask-peer.ts';
import { Breaker, type BreakerOptions } from './breaker.ts';
import { afterHearing, watchOwnTime } from './own-time.ts';
import { type PeerReply, readPeerReply } from './peer-answer.ts';

export interface PeerLimits extends BreakerOptions {
  /** Questions under way at once, over all peers. */
  readonly maxInFlight: number;
  /** An answer above this is no answer. A value grows up to sixfold in JSON. */
  readonly maxAnswerBytes: number;
}

export interface HttpPeersOptions {
  /** Asked for at every question: the others, this node left out. */
  readonly members: () => readonly Member[];
  /** Sent with every question. */
  readonly requestHeaders?: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: Partial<PeerLimits>;
  /** Hears how each question ended, to be counted; `skipped`: not asked. */
  readonly observe?: (outcome: PeerOutcome) => void;
}

export type PeerOutcome = 'found' | 'absent' | 'failed' | 'timeout' | 'skipped';

const defaults: PeerLimits = {
  failures: 5,
  firstPauseMs: 1_000,
  maxPauseMs: 30_000,
  maxInFlight: 512,
  maxAnswerBytes: 6 * 1_000_000 + 64 * 1024,
};

/** Idle connections kept per peer. */
const maxIdle = 16;
/** Shorter than the time for which servers keep an idle connection, or questions would meet closing ones. */
const idleMs = 4_000;

/** Opens nothing until a question is asked. */
export function openHttpPeers(options: HttpPeersOptions): Peers {
  const { clock, logger } = options;
  const limits: PeerLimits = { ...defaults, ...options.limits };
  const observe = options.observe ?? (() => undefined);
  const agent = new Agent({ keepAlive: true, maxFreeSockets: maxIdle, timeout: idleMs });
  const breaker = new Breaker(limits);
  const underWay = new Set<AbortController>();
  let closed = false;
  let lastMembers: readonly Member[] = [];

  /** Never rejects; undefined: no answer. */
  async function question(address: string, key: string, timeoutMs: number): Promise<PeerAnswer | undefined> {
    const target = parseAddress(address);
    if (target === undefined || underWay.size >= limits.maxInFlight || !breaker.admits(address, clock.monotonic())) {
      observe('skipped');
      return undefined;
    }
    const controller = new AbortController();
    underWay.add(controller);
    let late = false;
    const wasBusy = watchOwnTime();
    const cancel = afterHearing(clock, timeoutMs, () => {
      late = true;
      controller.abort();
    });
    try {
      const { maxAnswerBytes } = limits;
      const headers = options.requestHeaders ?? {};
      const reply = await askPeer({ ...target, key, agent, headers, maxAnswerBytes, signal: controller.signal });
      return judge(address, key, reply);
    } catch (error) {
      if (closed) breaker.undecided(address);
      else if (late && wasBusy()) {
        // It may have answered: nobody here had time to hear it.
        breaker.undecided(address);
        observe('timeout');
      } else fail(address, late ? 'timeout' : 'failed', error);
      return undefined;
    } finally {
      cancel();
      underWay.delete(controller);
    }
  }

  function judge(address: string, key: string, reply: PeerReply): PeerAnswer | undefined {
    const answer = readPeerReply(address, key, reply);
    if (answer !== undefined) {
      breaker.succeeded(address);
      observe(answer.found === undefined ? 'absent' : 'found');
    } else if (reply.status >= 400 && reply.status < 500 && reply.status !== 404) {
      // It lives and does not like the question: its limits may differ. That says nothing about other questions.
      breaker.undecided(address);
      observe('failed');
    } else {
      fail(address, 'failed', new Error(`status ${reply.status}, not an answer to the question`));
    }
    return answer;
  }

  function fail(address: string, outcome: 'timeout' | 'failed', error: unknown): void {
    observe(outcome);
    if (!breaker.failed(address, clock.monotonic())) return;
    const reason = outcome === 'timeout' ? 'no answer in time' : (error as Error).message;
    logger.warn({ event: 'peers.paused', peer: address, reason }, 'a peer does not answer and is not asked for a while');
  }

  return {
    ask(key, timeoutMs, signal) {
      const members = closed || signal?.aborted ? [] : options.members();
      if (members !== lastMembers) breaker.keep(new Set(members.map((member) => member.address)));
      lastMembers = members;
      const stream = new AnswerStream<PeerAnswer>(members.length);
      for (const { address } of members) void question(address, key, timeoutMs).then((answer) => stream.settled(answer));
      // The questions have a limit each, and this one holds even if a peer's end is not noticed.
      const cancel = afterHearing(clock, timeoutMs, () => stream.end());
      const onAbort = (): void => stream.end();
      signal?.addEventListener('abort', onAbort, { once: true });
      return finishing(stream.read(), () => {
        cancel();
        signal?.removeEventListener('abort', onAbort);
      });
    },
    async close() {
      closed = true;
      for (const controller of underWay) controller.abort();
      agent.destroy();
    },
  };
}

async function* finishing<T>(source: AsyncGenerator<T, void, undefined>, finish: () => void): AsyncGenerator<T, void, undefined> {
  try {
    yield* source;
  } finally {
    finish();
  }
}
