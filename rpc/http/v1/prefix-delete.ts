/** Deletes all keys under a prefix: page by page, a bounded number at once, and honest about what was done when it ends early. */
import type { KeyValue } from '../../../src/ports.ts';
import { bounded, goneSignal } from '../wait.ts';
import type { Call } from './answering.ts';
import { Footing } from './footing.ts';
import { inLanes } from './lanes.ts';
import { readPage } from './page.ts';
import { patience } from './reading.ts';
import type { V1Rooms } from './rooms.ts';
import type { Static } from './schema.ts';
import type { Session } from './session.ts';
import type { DeletedBody } from './shapes.ts';

const maxDeleted = 10_000;
const pageKeys = 500;
const lanes = 32;
/** After this no further page is begun, in milliseconds. */
const budgetMs = 30_000;

/** Where the keys are looked for: a node that restores, or lags, would leave out what it does not know yet, and say that there is no more. */
export function deletingFrom(keyValue: KeyValue, session: Session): Footing {
  return new Footing(keyValue, { consistency: 'latest', seen: session.seen });
}

/**
 * Errors: those of listing and deleting; `deleted` then stands in the problem, without what was under way. A caller who goes away ends it.
 */
export async function deleteUnder(
  rooms: V1Rooms,
  { response, session, inProblem }: Pick<Call, 'response' | 'session' | 'inProblem'>,
  prefix: string,
): Promise<Static<typeof DeletedBody>> {
  const { keyValue, limits } = rooms;
  const gone = goneSignal(response);
  const options = {
    prefix,
    delimiter: undefined,
    footing: deletingFrom(keyValue, session),
    patiently: patience(response, undefined),
    withValues: false,
  };
  const end = performance.now() + budgetMs;
  let deleted = 0;
  let after: string | undefined;
  inProblem['deleted'] = deleted;
  do {
    const page = await readPage(rooms, session, { ...options, after, limit: Math.min(pageKeys, maxDeleted - deleted) });
    await inLanes(page.items, lanes, async ({ key }) => {
      gone.throwIfAborted();
      const { position } = await bounded(gone, limits.writeTimeoutMs, (signal) => keyValue.delete(key, { signal }));
      session.note(position);
      inProblem['deleted'] = ++deleted;
    });
    after = page.next;
  } while (after !== undefined && deleted < maxDeleted && performance.now() < end);
  return { deleted, more: after !== undefined, position: session.token };
}
