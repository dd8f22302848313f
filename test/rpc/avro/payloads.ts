/** Payloads and frames as clients make them, right and wrong ones. */
import { handshakeRequest, localProtocol, metadata, Protocol, text } from '../../../wire/avro/codec.ts';
import { type Encode, FrameReader, FrameWriter } from '../../../wire/avro/frames.ts';
import { originalProtocol, protocol } from '../../../wire/avro/protocol.ts';

export const anyLimits = { maxFrameBytes: 1e8, maxBuffers: 1e6 };

/** What the parts write. */
export function bytesOf(...parts: readonly Encode[]): Buffer {
  const writer = new FrameWriter();
  writer.add(0, ...parts);
  return new FrameReader(anyLimits).push(writer.take())[0]?.payload as Buffer;
}

/** A frame of these buffers. */
export function frame(serial: number, ...buffers: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(8);
  header.writeInt32BE(serial);
  header.writeInt32BE(buffers.length, 4);
  const parts = buffers.flatMap((buffer) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(buffer.length);
    return [length, buffer];
  });
  return Buffer.concat([header, ...parts]);
}

/** A call behind its handshake: metadata, name, request. */
export function call(name: string, ...request: readonly Encode[]): Buffer {
  return bytesOf(metadata.encode({}), text.encode(name), ...request);
}

export const original = new Protocol(JSON.stringify(originalProtocol));
export const unknownHash = Buffer.alloc(16, 7);

export interface Greeting {
  readonly protocol?: Protocol;
  /** Sends the text with the hash. */
  readonly withText?: boolean;
  readonly clientHash?: Buffer;
  readonly serverHash?: Buffer;
}

export function handshake(greeting: Greeting = {}): Buffer {
  const protocol = greeting.protocol ?? localProtocol;
  return bytesOf(
    handshakeRequest.encode({
      clientHash: greeting.clientHash ?? protocol.hash,
      clientProtocol: greeting.withText ? protocol.text : null,
      serverHash: greeting.serverHash ?? localProtocol.hash,
      meta: {},
    }),
  );
}

/** A protocol as a client may bring it: ours, changed. */
export function changed(change: (document: Document) => void): Protocol {
  const document = structuredClone(protocol) as unknown as Document;
  change(document);
  return new Protocol(JSON.stringify(document));
}

export interface Document {
  types: object[];
  messages: Record<string, { request: object[]; response: unknown; errors?: unknown; 'one-way'?: boolean }>;
}
