/** Who follows which signal. One listener for a signal, however many calls follow it: Node takes more than ten for a leak, and says so. */

interface Followers {
  readonly ends: Set<() => void>;
  readonly listener: () => void;
}

export class Aborts {
  readonly #followers = new Map<AbortSignal, Followers>();

  /** Runs `end` when the signal is aborted, which it is not yet. What is returned lets go of the signal. */
  follow(signal: AbortSignal, end: () => void): () => void {
    const { ends, listener } = this.#followers.get(signal) ?? this.#listen(signal);
    ends.add(end);
    return () => {
      if (!ends.delete(end) || ends.size > 0) return;
      this.#followers.delete(signal);
      signal.removeEventListener('abort', listener);
    };
  }

  #listen(signal: AbortSignal): Followers {
    const ends = new Set<() => void>();
    const followers: Followers = {
      ends,
      listener: () => {
        for (const end of ends) end();
      },
    };
    this.#followers.set(signal, followers);
    signal.addEventListener('abort', followers.listener);
    return followers;
  }
}
