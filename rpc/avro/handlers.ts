/** The messages and what they do: the same reads and writes as every other face. `wire/avro/protocol.ts` says what the fields mean. */
import { bytesOf } from '../../src/core/bytes.ts';
import { BitacoraError } from '../../src/core/errors.ts';
import type { ReadAnswer, Seen } from '../../src/ports.ts';
import { encodeResponse, isText } from '../../wire/avro/codec.ts';
import type { Encode } from '../../wire/avro/frames.ts';
import type { Caller } from './caller.ts';
import { absent, nothing, present } from './encode.ts';
import type { Handlers, Rooms } from './exchange.ts';
import { createMany } from './many.ts';
import { createService } from './service.ts';
import { answerOf, checkFits, writtenOf } from './values.ts';

export function createHandlers(rooms: Rooms): Handlers {
  const { keyValue, limits } = rooms;
  const service = createService(keyValue);

  const value = ({ found }: ReadAnswer): Encode => {
    if (found === undefined) return absent;
    checkFits(found.value, limits.maxFrameBytes);
    return present(found.value);
  };
  const record = (answer: ReadAnswer): Encode => encodeResponse('getRecord', answerOf(answer, keyValue.genesis, limits.maxFrameBytes));
  const remove = (key: string, caller: Caller) => caller.write(limits.writeTimeoutMs, (signal) => keyValue.delete(key, { signal }));

  return {
    getValue({ key }, caller) {
      const answer = keyValue.peek(key);
      return answer !== undefined ? value(answer) : caller.read((signal) => keyValue.read(key, { signal })).then(value);
    },
    async setValue({ key, value }, caller) {
      if (!isText(value)) throw new BitacoraError('bad-request', 'the value is not UTF-8; setRecord takes any bytes');
      const bytes = bytesOf(value);
      await caller.write(limits.writeTimeoutMs, (signal) => keyValue.put(key, bytes, { signal }));
      return nothing;
    },
    async delete({ key }, caller) {
      await remove(key, caller);
      return nothing;
    },
    getNode() {
      const { state, applied, genesis } = keyValue.status;
      const { maxKeyBytes, maxValueBytes, maxFrameBytes } = limits;
      const node = {
        node: rooms.node,
        state,
        genesis: genesis ?? '',
        partitions: applied.length,
        maxKeyBytes,
        maxValueBytes,
        maxFrameBytes,
      };
      return encodeResponse('getNode', node);
    },
    getRecord({ key, seen }, caller) {
      const answer = service.read(key, seen as Seen, caller);
      return answer instanceof Promise ? answer.then(record) : record(answer);
    },
    async setRecord({ put }, caller) {
      const written = await caller.write(limits.writeTimeoutMs, (signal) => service.put(put, signal));
      return encodeResponse('setRecord', writtenOf(written, keyValue.genesis));
    },
    async deleteRecord({ key }, caller) {
      return encodeResponse('deleteRecord', writtenOf(await remove(key, caller), keyValue.genesis));
    },
    ...createMany(rooms, service),
  };
}
