/** A way to a node that can be cut, frozen and opened again, as a network does: the node itself notices nothing but its connections. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface Wire {
  readonly port: number;
  /** Connections that were made over it. */
  readonly made: number;
  /** Connections that are open. */
  readonly open: number;
  /** Bytes that came back over it. */
  readonly bytesBack: number;
  /** Breaks what is open, and refuses what comes. */
  cut(): void;
  /** Breaks what is open, and takes what comes. */
  snap(): void;
  /** Nothing passes any more, and nobody is told. */
  freeze(): void;
  /** All passes again. */
  mend(): void;
}

/** Ends with the test. */
export async function wireTo(port: number): Promise<Wire> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let state: 'open' | 'cut' | 'frozen' = 'open';
  let made = 0;
  let bytesBack = 0;
  const server = createServer((near) => {
    if (state === 'cut') return void near.resetAndDestroy();
    made++;
    const far = connect(port, '127.0.0.1');
    const pair = [near, far] as const;
    pairs.add(pair);
    far.on('data', (bytes: Buffer) => {
      bytesBack += bytes.length;
    });
    for (const [one, other] of [pair, [far, near]] as const) {
      one.on('error', () => undefined);
      one.on('close', () => {
        pairs.delete(pair);
        other.destroy();
      });
    }
    near.pipe(far);
    far.pipe(near);
    if (state === 'frozen') still(pair);
  });
  const snap = (): void => {
    for (const [near, far] of pairs) {
      near.resetAndDestroy();
      far.destroy();
    }
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    snap();
  });
  return {
    port: (server.address() as AddressInfo).port,
    get made() {
      return made;
    },
    get open() {
      return pairs.size;
    },
    get bytesBack() {
      return bytesBack;
    },
    cut() {
      state = 'cut';
      snap();
    },
    snap,
    freeze() {
      state = 'frozen';
      for (const pair of pairs) still(pair);
    },
    mend() {
      state = 'open';
      for (const [near, far] of pairs) {
        near.pipe(far);
        far.pipe(near);
      }
    },
  };
}

function still([near, far]: readonly [Socket, Socket]): void {
  for (const socket of [near, far]) {
    socket.unpipe();
    socket.pause();
  }
}
