/** Keeps a node behind: while the gate is shut it gets no batch. */
import type { Log, Subscriber } from '../../src/ports.ts';

export interface Gate {
  /** To be laid over the node's logs. */
  readonly behind: (log: Log) => Log;
  shut(): void;
  /** Resolves when it is open. */
  opened(): Promise<void>;
  open(): void;
}

export function gate(): Gate {
  let open = Promise.resolve();
  let opened = (): void => undefined;
  const behind = (log: Log): Log =>
    new Proxy(log, {
      get(target, name) {
        if (name === 'subscribe')
          return (options: never, subscriber: Subscriber) =>
            target.subscribe(options, {
              batch: async (batch) => {
                await open;
                return subscriber.batch(batch);
              },
              ended: (error) => subscriber.ended(error),
            });
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  const shut = (): void => {
    open = new Promise((resolve) => {
      opened = resolve;
    });
  };
  return { behind, shut, opened: () => open, open: () => opened() };
}
