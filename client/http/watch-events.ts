/** What a watch tells, and how it stands in the lines of `/v1/watch`. */
import { type Fields, fieldsIn, Malformed } from './fields.ts';
import { contentOf } from './records.ts';
import type { Content } from './types.ts';

/** The key has this value, until `expires`: that it is absent then is not told. */
export interface WatchPut extends Content {
  readonly kind: 'put';
  readonly key: string;
  /** The place of the write in the log, `partition:offset`. */
  readonly version: string;
  /** The log’s time of the write. */
  readonly time: Date | undefined;
  /** The write’s uuid; empty when another producer wrote it. */
  readonly id: string;
  /** As of every event, see `WatchEvent`; undefined: a part of a state. */
  readonly position: string | undefined;
}

/** The key is gone: deleted. */
export interface WatchDelete {
  readonly kind: 'delete';
  readonly key: string;
  readonly version: string;
  readonly time: Date | undefined;
  readonly position: string | undefined;
}

/**
 * `reset`: changes were missed (the log has compacted them, the nodes have forgotten them, this watcher was too slow, the log is another
 * one). All that was told before means nothing any more: the state follows as puts, and what they do not name is gone when `sync` comes.
 */
export interface WatchReset {
  readonly kind: 'reset';
  /** The word `reset`: who is resumed from here is told the state. */
  readonly position: string;
}

/** The state, or what was missed, has been told: from here on it is live. Again now and then while nothing changes. */
export interface WatchSync {
  readonly kind: 'sync';
  readonly position: string;
}

/**
 * `position` stands for all that has been told, in every partition. Keep the last one that an event carried, and another watch goes on
 * `from` there, at any node, in any process.
 */
export type WatchEvent = WatchPut | WatchDelete | WatchReset | WatchSync;

/** A line: perhaps an event, perhaps where to resume. */
export interface Line {
  readonly event: WatchEvent | undefined;
  readonly position: string | undefined;
}

/** Heartbeats, and what only newer nodes know, are no events. Errors: `Malformed`. */
export function lineOf(text: string): Line {
  const fields = fieldsIn(text);
  const position = fields.textIfAny('position');
  return { event: eventOf(fields, position), position };
}

function eventOf(fields: Fields, position: string | undefined): WatchEvent | undefined {
  const kind = fields.text('event');
  if (kind === 'put' || kind === 'delete') {
    const change = { key: fields.text('key'), version: fields.text('version'), time: fields.timeIfAny('updated'), position };
    return kind === 'delete' ? { kind, ...change } : { kind, ...change, ...contentOf(fields), id: fields.text('id') };
  }
  if (kind !== 'reset' && kind !== 'sync') return undefined;
  if (position === undefined) throw new Malformed(`a ${kind} has no position`);
  return { kind, position };
}
