/** Reads as their callers want them: how new, after what they have seen, and for how long they wait. */
import type { ServerResponse } from 'node:http';
import { BitacoraError } from '../../../src/core/errors.ts';
import { isSystemKey } from '../../../src/core/keys.ts';
import { newestSeen } from '../../../src/core/position.ts';
import type { Consistency, Moment, ReadAnswer, ReadOptions } from '../../../src/ports.ts';
import { goneSignal } from '../wait.ts';
import type { V1Rooms } from './rooms.ts';
import { oneOf, Type } from './schema.ts';
import type { Session } from './session.ts';
import { TokenText } from './shapes.ts';

/** Parameters and headers of every operation that reads. */
export const readQueryShape = {
  consistency: Type.Optional(
    oneOf(['local', 'session', 'latest', 'linearizable'], {
      description:
        'How new the answer must be. `local`: what this node has. `session`: at least what `Bitacora-Min-Position` says, as any read that carries it; without it as `local`. `latest`: the end of the log as the log tells it now. `linearizable`: every write acknowledged before the read began.',
      default: 'local',
    }),
  ),
};
export const readHeadersShape = {
  'Bitacora-Min-Position': Type.Optional(
    Type.String({
      ...TokenText,
      description: 'What the caller has seen: the last `Bitacora-Position`. A read waits until this node has applied it.',
    }),
  ),
  Prefer: Type.Optional(
    Type.String({
      description: '`wait=SECONDS`: how long the read may wait for a position, up to 60; otherwise a second.',
      examples: ['wait=5'],
    }),
  ),
};
/** Of a write: the token is moved on and sent back. */
export const writeHeadersShape = {
  'Bitacora-Min-Position': Type.Optional(
    Type.String({
      ...TokenText,
      description: 'What the caller has seen: the answer’s `Bitacora-Position` holds it too. A write waits for nothing.',
    }),
  ),
};

export interface Reading {
  readonly consistency: Consistency;
  /** Undefined: as long as the node itself waits. */
  readonly waitMs: number | undefined;
}

const longestWaitMs = 60_000;

/** What the parameters of a request ask for. A preference that is not understood is none, as RFC 7240 wants it. */
export function readingOf(consistency: 'local' | 'session' | 'latest' | 'linearizable' | undefined, prefer: string | undefined): Reading {
  const seconds = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])/i.exec(prefer ?? '')?.[1];
  const waitMs = seconds === undefined ? undefined : Math.min(Number(seconds) * 1_000, longestWaitMs);
  return { consistency: consistency === undefined || consistency === 'session' ? 'local' : consistency, waitMs };
}

/** Asks the service with the caller's signal and what is left of his time. */
export type Patiently = <T>(ask: (options: Pick<ReadOptions, 'signal' | 'waitMs'>) => Promise<T>) => Promise<T>;

/** One patience for a whole request: all its reads share one deadline, and end when the caller goes away. */
export function patience(response: ServerResponse, waitMs: number | undefined): Patiently {
  const signal = goneSignal(response);
  const deadline = waitMs === undefined ? undefined : performance.now() + waitMs;
  return async (ask) => {
    // A listing asks many times; nobody has to wait for what is asked on behalf of a caller who is gone.
    signal.throwIfAborted();
    return ask({ signal, ...(deadline === undefined ? {} : { waitMs: Math.max(0, deadline - performance.now()) }) });
  };
}

/** Reads one key and notes what the answer reflects. Errors: those of `KeyValue.read`. */
export async function readKey(
  rooms: V1Rooms,
  session: Session,
  key: string,
  consistency: Consistency,
  patiently: Patiently,
): Promise<ReadAnswer> {
  const { keyValue } = rooms;
  const { seen } = session;
  const hot = consistency === 'local' && seen === undefined ? keyValue.peek(key) : undefined;
  return noted(session, hot ?? (await patiently((options) => keyValue.read(key, { ...options, consistency, seen }))));
}

/** As `readKey`, of a moment of the past. Errors: those of `KeyValue.readAt`. */
export async function readKeyAt(
  { keyValue }: V1Rooms,
  session: Session,
  key: string,
  at: Moment,
  consistency: Consistency,
  patiently: Patiently,
): Promise<ReadAnswer> {
  const { seen } = session;
  return noted(session, await patiently((options) => keyValue.readAt(key, at, { ...options, consistency, seen })));
}

function noted(session: Session, answer: ReadAnswer): ReadAnswer {
  session.note(newestSeen(answer.applied));
  session.note(answer.found?.version);
  return answer;
}

/** Errors: `key-invalid`. */
export function checkPrefix(prefix: string): void {
  if (isSystemKey(prefix)) throw new BitacoraError('key-invalid', 'keys that begin with a NUL byte are reserved');
}
