/** Frames come in any pieces, and nothing a stranger announces is believed. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FrameReader, FrameWriter } from '../../wire/avro/frames.ts';

const limits = { maxFrameBytes: 1_000, maxBuffers: 8 };

/** A frame as another implementation might cut it. */
function frame(serial: number, buffers: readonly Uint8Array[]): Buffer {
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

const buffers = fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 8 });
const frames = fc.array(fc.record({ serial: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), buffers }), { maxLength: 6 });

describe('reading', () => {
  test('any frames in any pieces come out whole and in order', () => {
    fc.assert(
      fc.property(frames, fc.infiniteStream(fc.integer({ min: 1, max: 40 })), (sent, sizes) => {
        const stream = Buffer.concat(sent.map(({ serial, buffers }) => frame(serial, buffers)));
        const reader = new FrameReader(limits);
        const got = [];
        for (let at = 0; at < stream.length; ) {
          const size = sizes.next().value;
          got.push(...reader.push(stream.subarray(at, at + size)));
          at += size;
        }
        expect(got.map(({ serial, payload }) => [serial, payload.toString('hex')])).toEqual(
          sent.map(({ serial, buffers }) => [serial, Buffer.concat(buffers).toString('hex')]),
        );
        expect(reader.inFrame).toBe(false);
      }),
    );
  });

  test('a frame that has begun is known to be unfinished at every byte', () => {
    const whole = frame(7, [Buffer.from('abc'), Buffer.alloc(0), Buffer.from('d')]);
    for (let length = 1; length < whole.length; length++) {
      const reader = new FrameReader(limits);
      expect(reader.push(whole.subarray(0, length))).toEqual([]);
      expect(reader.inFrame).toBe(true);
    }
  });

  test.each([
    ['more buffers than the limit', frame(1, Array(9).fill(Buffer.alloc(1)))],
    ['fewer than no buffers', Buffer.from('00000001ffffffff', 'hex')],
    ['2^31 - 1 buffers', Buffer.from('000000017fffffff', 'hex')],
    ['a buffer of less than nothing', Buffer.from('0000000100000001ffffffff', 'hex')],
    ['a buffer over the limit, of which nothing has come yet', Buffer.from('00000001000000017fffffff', 'hex')],
    ['buffers that are over the limit together', frame(1, [Buffer.alloc(600), Buffer.alloc(401)])],
    ['what is not ours at all', Buffer.from('GET /rpc?key=a HTTP/1.1\r\n\r\n')],
  ])('%s: refused', (_, bytes) => {
    expect(() => new FrameReader(limits).push(bytes)).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });

  test('one byte at a time, a long frame is put together again', () => {
    const payload = Buffer.from(Array.from({ length: 900 }, (_, index) => index & 0xff));
    const reader = new FrameReader(limits);
    const read = [...frame(3, [payload.subarray(0, 300), payload.subarray(300)])].flatMap((byte) => reader.push(Buffer.of(byte)));
    expect(read).toEqual([{ serial: 3, payload }]);
  });

  test('exactly the limit passes', () => {
    expect(new FrameReader(limits).push(frame(1, [Buffer.alloc(600), Buffer.alloc(400)]))).toHaveLength(1);
  });
});

describe('writing', () => {
  const bytes = (value: Buffer) => (buffer: Buffer, at: number) => {
    value.copy(buffer, at);
    return at + value.length > buffer.length ? buffer.length - at - value.length : at + value.length;
  };

  test('what was written is read again, whatever its size', () => {
    const payloads = [0, 1, 70_000, 3, 400_000, 12].map((length, index) => Buffer.alloc(length, index + 1));
    const writer = new FrameWriter();
    for (let round = 0; round < 3; round++) {
      for (const [serial, payload] of payloads.entries())
        expect(writer.add(serial, bytes(payload), bytes(payload))).toBe(2 * payload.length);
      const reader = new FrameReader({ maxFrameBytes: 1e6, maxBuffers: 1 });
      const read = reader.push(writer.take()).map(({ payload }) => payload);
      expect(read.every((payload, serial) => payload.equals(Buffer.concat([payloads[serial] as Buffer, payloads[serial] as Buffer])))).toBe(
        true,
      );
      expect(read).toHaveLength(payloads.length);
      expect(writer.length).toBe(0);
    }
  });

  test('a part that fails leaves no trace', () => {
    const writer = new FrameWriter();
    writer.add(1, bytes(Buffer.from('a')));
    const failing = () => {
      throw new Error('no such value');
    };
    expect(() => writer.add(2, bytes(Buffer.alloc(100_000)), failing)).toThrow('no such value');
    writer.add(3, bytes(Buffer.from('c')));
    const read = new FrameReader(limits).push(writer.take());
    expect(read.map(({ serial, payload }) => [serial, payload.toString()])).toEqual([
      [1, 'a'],
      [3, 'c'],
    ]);
  });
});
