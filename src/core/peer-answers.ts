/**
 * Which of the peers' answers counts. The furthest position wins, absence included, or an empty node would bring back a deleted key from
 * a stale peer; an answer from a position not beyond this node's own says nothing new. Answers without a position (an older node)
 * compete by timestamp, with one another and with what this node holds, and only when no peer is further than this node. Answers from
 * another log (another genesis) are worthless.
 */
import type { Millis, Offset, PeerAnswer } from '../ports.ts';

/** What the asking node knows itself. */
export interface OwnKnowledge {
  /** It has applied everything before this offset of the key's partition. */
  readonly next: Offset;
  readonly genesis: string | undefined;
  /** Log time of what it holds under the key, an expiry marker included; undefined: it holds nothing. */
  readonly time: Millis | undefined;
}

/** Undefined: no answer says more than this node knows. An answer whose `found` is undefined is a verdict too: absent. */
export function bestAnswer(answers: readonly PeerAnswer[], own: OwnKnowledge, now: Millis): PeerAnswer | undefined {
  let furthest: PeerAnswer | undefined;
  let latest: PeerAnswer | undefined;
  for (const answer of answers) {
    if (answer.genesis !== undefined && own.genesis !== undefined && answer.genesis !== own.genesis) continue;
    if (answer.next !== undefined) {
      if (answer.next > own.next && (furthest?.next === undefined || answer.next > furthest.next)) furthest = answer;
    } else if (answer.found !== undefined && answer.found.time > (latest?.found?.time ?? own.time ?? -1)) {
      latest = answer;
    }
  }
  const best = furthest ?? latest;
  if (best?.found === undefined) return best;
  const expired = best.found.expires !== 0 && best.found.expires <= now;
  return expired ? { ...best, found: undefined } : best;
}
