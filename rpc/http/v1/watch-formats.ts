/** What is told of a watch as text: server-sent events (WHATWG HTML, 9.2) and newline-delimited JSON. */
import { formatPosition } from '../../../src/core/position.ts';
import type { FoundValue, WatchEvent } from '../../../src/ports.ts';
import { isoOf } from './deadline.ts';
import { valueBody } from './representation.ts';

/** How long a client waits before it comes back. */
const retryMs = 1_000;

export interface StreamFormat {
  /** First of all; `position`: where to resume before the first event. */
  begin(position: string | undefined): string;
  event(event: WatchEvent, position: string | undefined): string;
  readonly heartbeat: string;
  /** Last of all, when the node ends it. */
  end(reason: string): string;
}

export const serverSentEvents: StreamFormat = {
  begin: (position) => `: bitacora\nretry: ${retryMs}\n${idLine(position)}\n`,
  event: (event, position) => `event: ${event.kind}\n${idLine(position)}data: ${dataOf(event, position)}\n\n`,
  heartbeat: ': heartbeat\n\n',
  end: (reason) => `: ${reason}\n\n`,
};

function idLine(position: string | undefined): string {
  return position === undefined ? '' : `id: ${position}\n`;
}

export const lines: StreamFormat = {
  begin: (position) => `${JSON.stringify({ event: 'heartbeat', position })}\n`,
  event: (event, position) => `${lineOf(event, position)}\n`,
  heartbeat: '{"event":"heartbeat"}\n',
  end: () => '',
};

/** The event as one JSON object. */
export function lineOf(event: WatchEvent, position: string | undefined): string {
  const head = JSON.stringify({ event: event.kind, position });
  return event.kind === 'put' || event.kind === 'delete' ? `${head.slice(0, -1)},${dataOf(event, position).slice(1)}` : head;
}

function dataOf(event: WatchEvent, position: string | undefined): string {
  if (event.kind === 'put') return putData(event.key, event.found);
  if (event.kind === 'delete') {
    const { key, position: version, time } = event;
    return JSON.stringify({ key, version: formatPosition(version), updated: isoOf(time) ?? null });
  }
  return JSON.stringify(event.kind === 'sync' ? { position } : {});
}

/** The newest: a change comes to all its watchers one after another, as the same object, and is made into text once. */
let newest: { readonly key: string; readonly found: FoundValue; readonly text: string } | undefined;

function putData(key: string, found: FoundValue): string {
  if (newest?.found !== found || newest.key !== key) newest = { key, found, text: JSON.stringify(valueBody(key, found)) };
  return newest.text;
}
