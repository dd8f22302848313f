/**
 * Brokers behind doors: a node that is given the proxies as its brokers reaches Kafka only through them, and what passes can be held.
 *
 * Clients follow the addresses that brokers tell them, so the brokers' own are replaced in their answers. Host and proxy host are the same
 * and a port is an int32 behind the host, so an answer keeps its length and its fields need not be understood.
 */
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

export interface KafkaProxy {
  /** `host:port` to be used as the broker. */
  readonly broker: string;
  /** From now on answers stay here. */
  hold(): void;
  /** They go on, in order. */
  release(): void;
}

export async function startKafkaProxy(broker: string): Promise<KafkaProxy> {
  const [proxy] = (await startKafkaProxies([broker])) as [TcpProxy];
  return { broker: proxy.address, hold: () => proxy.set({}, { held: true }), release: () => proxy.set() };
}

/** One for each broker of a cluster. */
export async function startKafkaProxies(brokers: readonly string[]): Promise<TcpProxy[]> {
  const names: { readonly told: Buffer; readonly instead: Buffer }[] = [];
  const rename = (frame: Buffer): void => {
    for (const { told, instead } of names)
      for (let at = frame.indexOf(told); at >= 0; at = frame.indexOf(told, at + told.length)) instead.copy(frame, at);
  };
  const proxies = await Promise.all(brokers.map((server) => startTcpProxy({ server, rewriting: () => byFrame(rename) })));
  for (const [i, broker] of brokers.entries())
    names.push({ told: addressBytes(broker), instead: addressBytes((proxies[i] as TcpProxy).address) });
  return proxies;
}

/** An answer of a broker is its length in four bytes, and so many bytes. */
function byFrame(rename: (frame: Buffer) => void): (chunk: Buffer) => Buffer[] {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    const frames: Buffer[] = [];
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const end = 4 + rest.readInt32BE(0);
      const frame = Buffer.from(rest.subarray(0, end));
      rest = rest.subarray(end);
      rename(frame);
      frames.push(frame);
    }
    return frames;
  };
}

function addressBytes(address: string): Buffer {
  const [host, port] = address.split(':') as [string, string];
  const bytes = Buffer.alloc(host.length + 4);
  bytes.write(host, 'latin1');
  bytes.writeInt32BE(Number(port), host.length);
  return bytes;
}
