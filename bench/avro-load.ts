/** Load over Avro, from this process against a node in another: one connection, a fixed number of calls in flight. */
import { connect, type Socket } from 'node:net';
import { encodeRequest, handshakeRequest, handshakeResponse, localProtocol, metadata, text } from '../wire/avro/codec.ts';
import { type Encode, FrameReader, FrameWriter } from '../wire/avro/frames.ts';
import type { Load } from './load.ts';

export interface AvroLoad {
  readonly port: number;
  readonly inFlight: number;
  readonly seconds: number;
  readonly message: 'getValue' | 'setValue';
  readonly request: { readonly key: string; readonly value?: string };
}

const limits = { maxFrameBytes: 1_000_000, maxBuffers: 100 };
const noMetadata = metadata.encode({});

/** Warms up, then measures. Any failure, or a value that is not there, fails the benchmark. */
export async function avroLoad(options: AvroLoad): Promise<Load> {
  const socket = connect({ port: options.port, host: '127.0.0.1', noDelay: true });
  try {
    await shakeHands(socket);
    await run(socket, options, 1);
    return await run(socket, options, options.seconds);
  } finally {
    socket.destroy();
  }
}

async function shakeHands(socket: Socket): Promise<void> {
  const writer = new FrameWriter();
  const { hash, text: document } = localProtocol;
  const handshake = handshakeRequest.encode({ clientHash: hash, clientProtocol: document, serverHash: hash, meta: null });
  writer.add(0, handshake, noMetadata, text.encode(''));
  socket.write(writer.take());
  const reader = new FrameReader(limits);
  const { match } = await new Promise<{ match: string }>((resolve, reject) => {
    socket.once('error', reject);
    const hear = (chunk: Buffer): void => {
      const frame = reader.push(chunk)[0];
      if (frame === undefined) return;
      socket.off('data', hear);
      resolve(handshakeResponse.decode(frame.payload, 0).value);
    };
    socket.on('data', hear);
  });
  if (match !== 'BOTH') throw new Error(`the handshake was answered ${match}`);
}

function run(socket: Socket, { inFlight, message, request }: AvroLoad, seconds: number): Promise<Load> {
  const call: Encode[] = [noMetadata, text.encode(message), encodeRequest(message, request as never)];
  const reader = new FrameReader(limits);
  const writer = new FrameWriter();
  const sentAt = new Map<number, number>();
  const latencies: number[] = [];
  let serial = 0;
  const began = performance.now();
  const ends = began + seconds * 1_000;
  const send = (now: number): void => {
    sentAt.set(++serial, now);
    writer.add(serial, ...call);
  };
  return new Promise((resolve, reject) => {
    socket.on('data', function hear(chunk: Buffer) {
      const now = performance.now();
      for (const { serial: answered, payload } of reader.push(chunk)) {
        const meta = metadata.decode(payload, 0).end;
        // The error flag; then, of a read, the branch of the union: null is a value that is not there.
        if (payload[meta] !== 0 || (message === 'getValue' && payload[meta + 1] === 0)) return reject(new Error(`${message} failed`));
        latencies.push(now - (sentAt.get(answered) as number));
        sentAt.delete(answered);
        if (now < ends) send(now);
      }
      if (writer.length > 0) socket.write(writer.take());
      if (sentAt.size > 0) return;
      socket.off('data', hear);
      latencies.sort((a, b) => a - b);
      const p99Ms = latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN;
      resolve({ perSecond: latencies.length / ((now - began) / 1_000), p99Ms });
    });
    socket.once('close', () => reject(new Error('the node closed the connection')));
    for (let i = 0; i < inFlight; i++) send(began);
    socket.write(writer.take());
  });
}
