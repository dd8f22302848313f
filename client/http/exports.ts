/**
 * `GET /v1/export` as a sequence of pages, over broken connections and nodes that go away: what came since the last cursor is forgotten, and
 * another request goes on from there. Each page is checked before it is given.
 */
import { Damaged, type ExportLine, ExportReader } from '../../wire/export-reader.ts';
import { Aborts } from '../avro/aborts.ts';
import { clientChance, clientClock } from '../clock.ts';
import { ClientConnectionError, ClientError, retryOf, type Tried } from '../errors.ts';
import { queryOf } from './ask.ts';
import { Endpoint } from './endpoint.ts';
import { Endpoints } from './endpoints.ts';
import { Lost } from './exchange.ts';
import { linesOf } from './lines.ts';
import { type BitacoraOptions, checkHeaders, endpointsOf, httpLimitsOf, timeoutOf } from './options.ts';
import { Rounds } from './rounds.ts';
import type { Consistency } from './types.ts';
import { Wait } from './wait.ts';

export interface ExportOptions {
  /** What the keys begin with. Default: all keys. */
  readonly prefix?: string | undefined;
  /** How new the beginning must be; what follows is of the same node or, after a loss, not older than the beginning. */
  readonly consistency?: Consistency | undefined;
  /** To go on from, with the position of the header before it. */
  readonly from?: { readonly cursor: string; readonly position: string } | undefined;
  /** How long nothing may come, from whichever node, in ms. Default: that of the client's options. */
  readonly timeoutMs?: number | undefined;
  /** How long nobody may listen before anything came, in ms. Default 900. */
  readonly reachMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ExportPage {
  /** Without their newlines: perhaps a header, items, and then a cursor or the end. */
  readonly lines: readonly string[];
  readonly items: number;
  readonly last: Extract<ExportLine, { kind: 'cursor' | 'end' }>;
}

const usualReachMs = 900;
const longestPauseMs = 1_000;

/**
 * Nobody is asked before the first page is; the last one ends with the end. Errors: what a node says that will not change, `connection`,
 * `aborted`, `internal` for what is no export.
 */
export async function* exportPages(client: BitacoraOptions, options: ExportOptions): AsyncGenerator<ExportPage, void, undefined> {
  const limits = httpLimitsOf(client);
  const { headers = {}, tls } = client;
  checkHeaders(headers);
  const [clock, chance] = [clientClock, clientChance];
  const world = { limits, clock, chance, headers, tls };
  const all = [...endpointsOf(client.endpoints)].map(([name, url]) => new Endpoint(name, url, world));
  const endpoints = new Endpoints(all, clock, chance);
  const wait = new Wait(clock, new Aborts(), { signal: options.signal, timeoutMs: Number.POSITIVE_INFINITY });
  const silenceMs = timeoutOf(options.timeoutMs, limits.timeoutMs);
  const reachMs = Math.min(silenceMs, timeoutOf(options.reachMs, usualReachMs));
  const rounds = (): Rounds => new Rounds({ endpoints, clock, chance }, { candidates: all, load: 'streams', longestPauseMs });
  const reading = { wait, clock, openMs: silenceMs, silenceMs, maxLineBytes: limits.maxAnswerBytes };

  let { from } = options;
  let position = from?.position ?? client.position ?? '';
  let begun = false;
  let round = rounds();
  let heardAt = clock.monotonic();
  const tried = new Map<string, Tried>();
  try {
    while (wait.over === undefined) {
      const endpoint = round.pick();
      const path = `/v1/export${queryOf({ prefix: options.prefix, cursor: from?.cursor, consistency: begun ? undefined : options.consistency })}`;
      let failure: ClientError;
      try {
        const seen: Record<string, string> = position === '' ? {} : { 'Bitacora-Min-Position': position };
        for await (const page of pagesOf(linesOf(endpoint, path, { ...reading, headers: seen }), from?.cursor)) {
          // The first part says what the whole export reflects: no later one may reflect less.
          if (position === '') position = page.position;
          yield page;
          // A node that tells nothing but that it tells nothing is not waited for for ever.
          if (page.items > 0 || (page.last.kind === 'cursor' && page.last.cursor !== from?.cursor)) heardAt = clock.monotonic();
          if (page.last.kind === 'end') return;
          begun = true;
          from = { cursor: page.last.cursor, position };
          if (page.last.code !== undefined)
            throw new ClientError(page.last.code, `${endpoint.name} has ended the export: ${page.last.code}`);
          round = rounds();
        }
        failure = new ClientConnectionError(`${endpoint.name}: the export broke off`, [], { server: endpoint.name });
      } catch (error) {
        failure = failureOf(error, endpoint);
      }
      if (wait.over !== undefined) break;
      if (retryOf(failure.code) === 'no') throw failure;
      tried.set(endpoint.name, { server: endpoint.name, reason: failure.message });
      round.asked(endpoint, failure.retryAfterMs);
      const pauseMs = round.pauseMs();
      const patienceMs = begun || !isUnreachable(failure.cause) ? silenceMs : reachMs;
      if (clock.monotonic() + pauseMs - heardAt > patienceMs) throw concluded(failure, [...tried.values()]);
      if (pauseMs > 0) await round.next(pauseMs, wait);
    }
    throw wait.over;
  } finally {
    wait.settled();
    endpoints.close();
  }
}

interface ToldPage extends ExportPage {
  /** Of the header. */
  readonly position: string;
}

/** Errors: `Damaged`. */
async function* pagesOf(all: AsyncIterable<string>, cursor: string | undefined): AsyncGenerator<ToldPage, void, undefined> {
  const reader = new ExportReader(cursor);
  let lines: string[] = [];
  let items = 0;
  for await (const line of all) {
    const told = reader.take(Buffer.from(line));
    lines.push(line);
    if (told.kind === 'item') items++;
    if (told.kind !== 'cursor' && told.kind !== 'end') continue;
    yield { lines, items, last: told, position: reader.header?.position ?? '' };
    lines = [];
    items = 0;
  }
}

function failureOf(error: unknown, endpoint: Endpoint): ClientError {
  const { name: server } = endpoint;
  if (error instanceof ClientError) return error;
  if (error instanceof Damaged) return new ClientError('internal', `${server}: ${error.message}`, { server });
  if (!(error instanceof Lost)) throw error;
  endpoint.failed();
  return new ClientConnectionError(`${server}: ${error.message}`, [], { server, cause: error.cause });
}

/** There was no connection at all. */
function isUnreachable(cause: unknown): boolean {
  if (cause instanceof AggregateError) return cause.errors.every(isUnreachable);
  const { syscall = '' } = (cause ?? {}) as NodeJS.ErrnoException;
  return syscall === 'connect' || syscall === 'getaddrinfo';
}

function concluded(failure: ClientError, tried: readonly Tried[]): ClientError {
  if (failure.code !== 'connection') return failure;
  const message = `no node can be reached; tried ${tried.map(({ reason }) => reason).join(', ')}`;
  return new ClientConnectionError(message, tried, { server: failure.server, cause: failure });
}
