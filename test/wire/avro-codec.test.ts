/** The codec: what was written is read again, by older protocols too, and no bytes of a stranger keep it busy or make it lie. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeRequest, encodeResponse, handshakeRequest, localProtocol, metadata, Protocol, text } from '../../wire/avro/codec.ts';
import { type Encode, FrameReader, FrameWriter } from '../../wire/avro/frames.ts';
import { failureBranch } from '../../wire/avro/messages.ts';
import { originalProtocol, protocol } from '../../wire/avro/protocol.ts';
import { textOf } from '../docs/sources.ts';

const original = new Protocol(JSON.stringify(originalProtocol));

function bytesOf(...parts: Encode[]): Buffer {
  const writer = new FrameWriter();
  writer.add(0, ...parts);
  return new FrameReader({ maxFrameBytes: 1e7, maxBuffers: 1 }).push(writer.take())[0]?.payload as Buffer;
}

const seen = { genesis: 'g', positions: [{ partition: 3, offset: 2 ** 40 }] };
const put = { key: 'ключ', value: Buffer.from([0, 255, 1]), contentType: 'a/b', ttl: 5 };

describe('our protocol', () => {
  test('the document for other languages is the same', () => {
    expect(JSON.parse(textOf('docs/avro/RPCHandlerAvro.avpr'))).toEqual(protocol);
  });

  test.each([
    ['getRecord', { key: 'a', seen }],
    ['setRecord', { put }],
    ['getMany', { keys: ['a', '', 'ж'], seen }],
    ['setMany', { puts: [put, put] }],
    ['setValue', { key: 'a', value: 'b' }],
  ] as const)('%s comes through', (name, request) => {
    const bytes = bytesOf(encodeRequest(name, request as never));
    expect(localProtocol.request(name)(bytes, 0)).toEqual({ value: request, end: bytes.length });
  });

  test('one of many may be a failure', () => {
    const failure = { code: 'overloaded', message: 'later', retry: 'yes', retryAfterMs: 1_000 };
    const bytes = bytesOf(encodeResponse('setMany', [{ [failureBranch]: failure }]));
    expect(localProtocol.response('setMany')(bytes, 0).value).toEqual([{ [failureBranch]: failure }]);
  });

  test('a value larger than the scratch comes through', () => {
    const large = { put: { ...put, value: Buffer.alloc(300_000, 7) } };
    expect(localProtocol.request('setRecord')(bytesOf(encodeRequest('setRecord', large)), 0).value).toEqual(large);
  });
});

describe('other protocols', () => {
  test('the original’s requests are read as ours', () => {
    const bytes = bytesOf(encodeRequest('setValue', { key: 'a', value: 'b' }));
    expect(original.request('setValue')(bytes, 0).value).toEqual({ key: 'a', value: 'b' });
    expect(() => original.request('getRecord')).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });

  test('a later protocol with a field more is read without it, and one without a field of ours is refused', () => {
    const later = structuredClone(protocol) as unknown as { messages: Record<string, { request: object[] }> };
    later.messages['getValue']?.request.push({ name: 'hint', type: 'string', default: '' });
    const bytes = bytesOf(text.encode('a'), text.encode('hint'));
    expect(new Protocol(JSON.stringify(later)).request('getValue')(bytes, 0)).toEqual({ value: { key: 'a' }, end: bytes.length });
    later.messages['setValue']?.request.pop();
    expect(() => new Protocol(JSON.stringify(later)).request('setValue')).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });

  test('types are found when the namespace is part of the protocol’s name', () => {
    const { namespace, protocol: name, ...rest } = protocol;
    const brought = new Protocol(JSON.stringify({ protocol: `${namespace}.${name}`, ...rest }));
    const bytes = bytesOf(encodeRequest('getRecord', { key: 'a', seen }));
    expect(brought.request('getRecord')(bytes, 0).value).toEqual({ key: 'a', seen });
  });

  test('a message that is not answered cannot be read, nor one that is not there', () => {
    const theirs = structuredClone(protocol) as unknown as { messages: Record<string, object> };
    theirs.messages['delete'] = { ...theirs.messages['delete'], 'one-way': true };
    expect(() => new Protocol(JSON.stringify(theirs)).request('delete')).toThrow(expect.objectContaining({ code: 'bad-request' }));
    expect(() => new Protocol('{"protocol":"x"}').request('delete')).toThrow('it has no message delete');
  });

  test.each(['', 'null', '[]', '{}', '{"protocol":"x"}', '{"protocol":"x","messages":{"getValue":7}}', '['.repeat(50_000)])(
    'no protocol: %s',
    (document) => {
      const use = () => new Protocol(document).request('getValue');
      expect(use).toThrow(expect.objectContaining({ code: 'bad-request' }));
    },
  );
});

describe('bytes of a stranger', () => {
  /** 2^40 items, and then nothing. */
  const endless = Buffer.from('808080808040', 'hex');

  test.each([
    ['keys', () => localProtocol.request('getMany')(Buffer.concat([endless, Buffer.alloc(20)]), 0)],
    ['a map', () => metadata.decode(endless, 0)],
    ['text', () => text.decode(endless, 0)],
    ['text of less than nothing', () => text.decode(Buffer.from('01', 'hex'), 0)],
    ['a number without an end', () => text.decode(Buffer.alloc(20, 0xff), 0)],
    ['text that is not UTF-8', () => text.decode(Buffer.from('02ff', 'hex'), 0)],
    ['no branch of a union', () => handshakeRequest.decode(Buffer.concat([Buffer.alloc(16), Buffer.from('08', 'hex')]), 0)],
  ])('%s: refused', (_, decode) => expect(decode).toThrow(expect.objectContaining({ code: 'bad-request' })));

  test('an array of nothings in a field that we do not know is bounded', () => {
    const theirs = structuredClone(protocol) as unknown as { messages: Record<string, { request: object[] }> };
    theirs.messages['getValue']?.request.unshift({ name: 'none', type: { type: 'array', items: 'null' } });
    const decode = new Protocol(JSON.stringify(theirs)).request('getValue');
    expect(() => decode(Buffer.concat([endless, Buffer.from('000261', 'hex')]), 0)).toThrow(
      expect.objectContaining({ code: 'bad-request' }),
    );
    expect(decode(Buffer.from('06000261', 'hex'), 0).value).toEqual({ key: 'a' });
  });

  const withFirst = (type: unknown, types: object[] = []) => {
    const theirs = structuredClone(protocol) as unknown as { types: object[]; messages: Record<string, { request: object[] }> };
    theirs.types.push(...types);
    theirs.messages['getValue']?.request.unshift({ name: 'first', type });
    return new Protocol(JSON.stringify(theirs)).request('getValue');
  };
  const malformed = expect.objectContaining({ name: 'Malformed', code: 'bad-request' });

  test('a block is as long as it says: who skips it jumps by that, backwards too', () => {
    const decode = withFirst({ type: 'array', items: 'int' });
    expect(decode(Buffer.from('0304020400' + '0261', 'hex'), 0).value).toEqual({ key: 'a' });
    for (const block of ['03030204', '03020204', '03060204', '030002', '03']) {
      expect(() => decode(Buffer.from(`${block}000261`, 'hex'), 0)).toThrow(malformed);
    }
  });

  test('a frame full of the smallest items does not become as many objects', () => {
    const few = bytesOf(encodeRequest('getMany', { keys: Array(10_000).fill(''), seen }));
    expect(localProtocol.request('getMany')(few, 0).value.keys).toHaveLength(10_000);
    const many = bytesOf(encodeRequest('getMany', { keys: Array(1_000_000).fill(''), seen }));
    expect(() => localProtocol.request('getMany')(many, 0)).toThrow(malformed);
  });

  test('records that hold records twice, sixty deep, cost what their bytes cost: nothing', () => {
    const types = Array.from({ length: 60 }, (_, index) => ({
      type: 'record',
      name: `T${index}`,
      fields: index === 0 ? [] : ['a', 'b'].map((name) => ({ name, type: `T${index - 1}`, default: {} })),
    }));
    expect(() => withFirst('T59', types)(Buffer.from('0261', 'hex'), 0)).toThrow(malformed);
    expect(withFirst('T3', types)(Buffer.from('0261', 'hex'), 0).value).toEqual({ key: 'a' });
  });

  test('a number beyond 2^53 is well-formed, and refused where it is asked for', () => {
    const whole = bytesOf(encodeRequest('setRecord', { put: { ...put, ttl: 0 } }));
    const bytes = Buffer.concat([whole.subarray(0, -1), Buffer.from('feffffffffffffffff01', 'hex')]);
    expect(() => localProtocol.request('setRecord')(bytes, 0)).toThrow(
      expect.objectContaining({ name: 'BitacoraError', code: 'bad-request' }),
    );
  });

  test('any bytes are a value or refused', () => {
    const decoders = (['getMany', 'setMany', 'getRecord', 'setRecord'] as const).map((name) => localProtocol.request(name));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        for (const decode of [...decoders, handshakeRequest.decode, metadata.decode]) {
          try {
            expect(decode(Buffer.from(bytes), 0).end).toBeLessThanOrEqual(bytes.length);
          } catch (error) {
            expect(error).toMatchObject({ code: 'bad-request' });
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('a request cut anywhere, or with any byte changed, is a value or refused', () => {
    const whole = bytesOf(encodeRequest('setMany', { puts: [put, put, put] }));
    const decode = localProtocol.request('setMany');
    for (let at = 0; at < whole.length; at++) {
      expect(() => decode(whole.subarray(0, at), 0)).toThrow(expect.objectContaining({ code: 'bad-request' }));
      for (const change of [1, 0x40, 0x80, 0xff]) {
        const changed = Buffer.from(whole);
        changed[at] = (changed[at] as number) ^ change;
        try {
          decode(changed, 0);
        } catch (error) {
          expect(error).toMatchObject({ code: 'bad-request' });
        }
      }
    }
  });
});
