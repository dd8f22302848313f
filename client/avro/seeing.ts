/** What an answer means for the session: where it moves to, and whether the answer may be given out at all. */
import type { Answer, Written } from '../../wire/avro/messages.ts';
import { ClientError } from '../errors.ts';
import { foreignLog, type Session } from '../session.ts';

/**
 * A read was answered. Found: its version was seen. Absent: everything that the server had applied, as absence has no version.
 *
 * Errors: `position-foreign`, to be told when the log is another one than before, and retryable when that was told since the read was
 * sent; `position-not-reached` (retryable) when the answer is older than it was asked to be, which no honest node gives.
 */
export function sawAnswer(session: Session, answer: Answer, asked: { epoch: number; offset: number }, server: string): void {
  const { found, applied, genesis } = answer;
  if (session.isOver(genesis, asked.epoch)) throw outdated(server);
  if (!session.learn(genesis)) throw foreignLog(server);
  if (applied.offset <= asked.offset) {
    throw new ClientError('position-not-reached', `${server} has answered from before what this session has seen`, { server });
  }
  // The place of an answer whose log is not known cannot be kept.
  if (genesis === '') return;
  if (found === null) session.reach(applied.partition, applied.offset - 1);
  else if (found.version !== null) session.reach(found.version.partition, found.version.offset);
}

/** A write was done. If the log is another one than before, that is told by the next read: this write has succeeded. */
export function sawWritten(session: Session, { position, genesis }: Written, epoch: number, server: string): void {
  if (genesis === '' || session.isOver(genesis, epoch)) return;
  if (!session.learn(genesis)) session.owe(foreignLog(server));
  session.reach(position.partition, position.offset);
}

/** A read was refused because the session is of another log. Told to the first; those who were sent before may ask again. */
export function sawForeign(session: Session, epoch: number, error: ClientError): ClientError {
  if (epoch !== session.epoch) return outdated(error.server);
  session.forget();
  return foreignLog(error.server, error);
}

function outdated(server: string | undefined): ClientError {
  return new ClientError('position-foreign', 'asked of one log and answered of another', { retryable: true, server });
}
