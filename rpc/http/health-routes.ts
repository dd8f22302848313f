/**
 * What balancers, probes and scrapers ask. `/livez`: the event loop turns. `/readyz`: reads are whole, also while the log is away, or a
 * balancer would empty. `/readyz/write`: writes have a chance. `/health`: the original's, the same answer as `/readyz`.
 */
import type { ServerResponse } from 'node:http';
import type { NodeStatus } from '../../src/ports.ts';
import type { Rooms, Route } from './exchange.ts';
import { json } from './rpc-json.ts';

export interface Metrics {
  readonly contentType: string;
  readonly body: string;
}

const text = 'text/plain; charset=utf-8';
const noStore = ['Cache-Control', 'no-store'];

export function healthRoutes(rooms: Rooms, metrics: () => Promise<Metrics>): readonly Route[] {
  const { keyValue, respond } = rooms;

  function readiness(response: ServerResponse, status: NodeStatus, good: boolean): void {
    respond(response, { status: good ? 200 : 503, type: json, headers: noStore, body: statusBody(status) });
  }

  return [
    {
      path: '/health',
      methods: {
        GET: (_request, response) => {
          const well = answersReads(keyValue.status);
          respond(response, { status: well ? 200 : 500, type: text, headers: noStore, body: well ? 'OK' : 'DOWN' });
        },
      },
    },
    {
      path: '/livez',
      methods: { GET: (_request, response) => respond(response, { status: 200, type: text, headers: noStore, body: 'OK' }) },
    },
    {
      path: '/readyz',
      methods: {
        GET: (_request, response) => {
          const { status } = keyValue;
          readiness(response, status, answersReads(status));
        },
      },
    },
    {
      path: '/readyz/write',
      methods: {
        GET: (_request, response) => {
          const { status } = keyValue;
          readiness(response, status, status.writable);
        },
      },
    },
    {
      path: '/metrics',
      methods: {
        GET: async (_request, response) => {
          const { contentType, body } = await metrics();
          respond(response, { status: 200, type: contentType, headers: noStore, body });
        },
      },
    },
  ];
}

/** Reads are whole, or, where that was asked for, stale and say so. */
const answersReads = ({ ready, stale }: NodeStatus): boolean => ready || stale;

/** `progress` in percent with one decimal; `eta_s` an upper bound in seconds, null: not known. Rounded down, so that 100 means all. */
function statusBody(status: NodeStatus): string {
  return `${JSON.stringify({
    state: status.state,
    reason: status.reason ?? null,
    ready: status.ready,
    writable: status.writable,
    sealed: status.sealed,
    stale: status.stale,
    progress: Math.floor(status.progress * 1000) / 10,
    records_per_second: Math.round(status.recordsPerSecond),
    eta_s: status.secondsLeft === undefined ? null : Math.ceil(status.secondsLeft),
    lag_ms: Math.round(status.lagMs),
    applied: status.applied,
    ends: status.ends,
    entries: status.entries,
    records_applied: status.recordsApplied,
    genesis: status.genesis ?? null,
    log: status.log,
  })}\n`;
}
