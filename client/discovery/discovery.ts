/** How a client learns which servers there are. Implementations: a list, ZooKeeper. */

export interface Discovery {
  /** Where the servers are looked for, for people. */
  readonly source: string;
  /** Why they are not known, or may be out of date, in words; undefined: all is well. */
  readonly trouble: string | undefined;
  /** Idempotent, bounded in time. Nothing is told afterwards. */
  close(): Promise<void>;
}

/** Told the whole list whenever it may have changed: `host:port`, each once. */
export type OnServers = (servers: readonly string[]) => void;
