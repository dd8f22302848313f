/**
 * A broker behind a door: a node that is given the proxy as its broker reaches Kafka only through it, and what Kafka answers can be held.
 *
 * Clients follow the addresses that brokers tell them, so the broker's own is replaced in its answers. Host and proxy host are the same
 * and a port is an int32 behind the host, so an answer keeps its length and its fields need not be understood.
 */
import { connect, createServer, type Socket } from 'node:net';
import { atCleanUp } from './clean-up.ts';

export interface KafkaProxy {
  /** `host:port` to be used as the broker. */
  readonly broker: string;
  /** From now on answers stay here. */
  hold(): void;
  /** They go on, in order. */
  release(): void;
}

export async function startKafkaProxy(broker: string): Promise<KafkaProxy> {
  const [host, port] = broker.split(':') as [string, string];
  const sockets = new Set<Socket>();
  let held = false;
  let waiting: (() => void)[] = [];
  const server = createServer((client) => {
    const upstream = connect({ host, port: Number(port) });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
      // What ends a connection ends it on both sides, and that is all there is to it here.
      socket.on('error', () => socket.destroy());
    }
    client.on('data', (chunk) => upstream.write(chunk));
    let rest: Buffer = Buffer.alloc(0);
    upstream.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
        const end = 4 + rest.readInt32BE(0);
        const frame = Buffer.from(rest.subarray(0, end));
        rest = rest.subarray(end);
        rename(frame);
        const pass = (): void => void client.write(frame);
        if (held) waiting.push(pass);
        else pass();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port: own } = server.address() as { port: number };
  const told = address(host, Number(port));
  const instead = address(host, own);
  function rename(frame: Buffer): void {
    for (let at = frame.indexOf(told); at >= 0; at = frame.indexOf(told, at + told.length)) instead.copy(frame, at);
  }
  const release = (): void => {
    held = false;
    const passed = waiting;
    waiting = [];
    for (const pass of passed) pass();
  };
  atCleanUp(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    broker: `${host}:${own}`,
    hold: () => {
      held = true;
    },
    release,
  };
}

function address(host: string, port: number): Buffer {
  const bytes = Buffer.alloc(host.length + 4);
  bytes.write(host, 'latin1');
  bytes.writeInt32BE(port, host.length);
  return bytes;
}
