/** Many in one message: done in parallel, answered in the order asked, each by itself. What does not fit into one answer is to be asked again. */
import { BitacoraError } from '../../src/core/errors.ts';
import type { ReadAnswer, Seen } from '../../src/ports.ts';
import { encodeResponse } from '../../wire/avro/codec.ts';
import type { Encode } from '../../wire/avro/frames.ts';
import {
  type AnswerOrFailure,
  answerBranch,
  failureBranch,
  type Put,
  type WrittenOrFailure,
  writtenBranch,
} from '../../wire/avro/messages.ts';
import type { Handlers, Rooms } from './exchange.ts';
import { failureOf, oneLine } from './failures.ts';
import type { Service } from './service.ts';
import { answerOf, sizeOf, writtenOf } from './values.ts';

/** Keys or puts in one message. */
export const mostItems = 1_000;
/** What the result of a write, or a failure in so many characters, takes in a frame at most. */
const resultBytes = 500;
const mostWords = 100;
/** What a failure without words takes at most. */
const wordlessBytes = 40;
/** Of the answer beside its items. */
const headBytes = 64;

export function createMany(rooms: Rooms, service: Service): Pick<Handlers, 'getMany' | 'setMany'> {
  const { keyValue, limits, logger } = rooms;

  return {
    getMany({ keys, seen }, caller) {
      checkCount(keys.length, mostItems);
      const log = oneLine(logger);
      // Each has room for a failure without words, values have the rest, and what they leave is for words. Any value fits beside a
      // thousand failures, so that whoever asks again for what did not fit has something more each time.
      let left = limits.maxFrameBytes - headBytes - keys.length * wordlessBytes;
      const take = (bytes: number): boolean => {
        const more = Math.max(0, bytes - wordlessBytes);
        if (more > left) return false;
        left -= more;
        return true;
      };
      const failure = (error: unknown): AnswerOrFailure => ({ [failureBranch]: failureOf(error, log, mostWords) });
      const inWords = (item: AnswerOrFailure): AnswerOrFailure =>
        answerBranch in item || take(resultBytes) ? item : { [failureBranch]: { ...item[failureBranch], message: '' } };
      const item = (read: ReadAnswer): AnswerOrFailure => {
        const answer = answerOf(read, keyValue.genesis, limits.maxFrameBytes);
        if (!take(sizeOf(answer))) throw new BitacoraError('overloaded', 'the answer is full; ask for this one again');
        return { [answerBranch]: answer };
      };
      const settle = (read: ReadAnswer): AnswerOrFailure => {
        try {
          return item(read);
        } catch (error) {
          return failure(error);
        }
      };
      const one = (key: string): AnswerOrFailure | Promise<AnswerOrFailure> => {
        try {
          const read = service.read(key, seen as Seen, caller);
          return read instanceof Promise ? read.then(settle, failure) : item(read);
        } catch (error) {
          return failure(error);
        }
      };
      return inOrder(keys.map(one), (items) => encodeResponse('getMany', items.map(inWords)));
    },

    async setMany({ puts }, caller) {
      // What became of a write must be told.
      checkCount(puts.length, Math.min(mostItems, Math.floor((limits.maxFrameBytes - headBytes) / resultBytes)));
      const log = oneLine(logger);
      const one = (put: Put): Promise<WrittenOrFailure> =>
        caller
          .write(limits.writeTimeoutMs, (signal) => service.put(put, signal))
          .then(
            (written) => ({ [writtenBranch]: writtenOf(written, keyValue.genesis) }),
            (error) => ({ [failureBranch]: failureOf(error, log, mostWords) }),
          );
      const items = await Promise.all(puts.map(one));
      return encodeResponse('setMany', items);
    },
  };
}

/** Errors: `bad-request`. */
function checkCount(items: number, most: number): void {
  if (items > most) throw new BitacoraError('bad-request', `${items} at once; the limit is ${most}`);
}

/** At once when nothing has to be waited for. */
function inOrder<T>(items: readonly (T | Promise<T>)[], encode: (items: readonly T[]) => Encode): Encode | Promise<Encode> {
  if (items.every((item) => !(item instanceof Promise))) return encode(items as readonly T[]);
  return Promise.all(items).then(encode);
}
