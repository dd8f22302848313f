/**
 * Which peers are worth asking. A peer that failed several times in a row is left alone for a while, twice as long each time; then one
 * question goes to it, and its answer decides. Pure: the caller brings the time.
 */
export interface BreakerOptions {
  /** Failures in a row until a peer is left alone. */
  readonly failures: number;
  /** How long at first, in milliseconds. */
  readonly firstPauseMs: number;
  readonly maxPauseMs: number;
}

interface Health {
  failures: number;
  pauseMs: number;
  /** Not asked before this time; 0: asked. */
  until: number;
  /** The one question after a pause is under way. */
  probing: boolean;
}

export class Breaker {
  readonly #options: BreakerOptions;
  /** Peers that failed lately; all others are well. */
  readonly #ailing = new Map<string, Health>();

  constructor(options: BreakerOptions) {
    this.#options = options;
  }

  /** May this peer be asked now? A yes after a pause is given once until its answer is known. */
  admits(peer: string, now: number): boolean {
    const health = this.#ailing.get(peer);
    if (health === undefined || health.until === 0) return true;
    if (health.probing || now < health.until) return false;
    health.probing = true;
    return true;
  }

  succeeded(peer: string): void {
    this.#ailing.delete(peer);
  }

  /** True when this failure is the one with which a pause begins. */
  failed(peer: string, now: number): boolean {
    const { failures, firstPauseMs, maxPauseMs } = this.#options;
    const health = this.#ailing.get(peer) ?? { failures: 0, pauseMs: firstPauseMs, until: 0, probing: false };
    this.#ailing.set(peer, health);
    health.failures++;
    // Questions that were under way when the pause began say nothing new.
    if (health.failures < failures || (health.until > 0 && !health.probing)) return false;
    const began = health.until === 0;
    health.until = now + health.pauseMs;
    health.pauseMs = Math.min(health.pauseMs * 2, maxPauseMs);
    health.probing = false;
    return began;
  }

  /** Neither well nor ill: the question ended without an answer that says so. */
  undecided(peer: string): void {
    const health = this.#ailing.get(peer);
    if (health) health.probing = false;
  }

  /** Forgets who is no longer a member. */
  keep(members: ReadonlySet<string>): void {
    for (const peer of this.#ailing.keys()) if (!members.has(peer)) this.#ailing.delete(peer);
  }
}
