/** Running nodes over one log in memory, nodes that are nasty, and clients of both. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { onTestFinished } from 'vitest';
import { Bitacora, type BitacoraOptions, type ClientError } from '../../client/http/index.ts';
import type { HttpLimits } from '../../rpc/http/server.ts';
import { BitacoraError } from '../../src/core/errors.ts';
import { reflects } from '../../src/core/position.ts';
import type { FoundValue, KeyValue, ReadAnswer } from '../../src/ports.ts';
import type { Running } from '../rpc/http/start-server.ts';
import { startV1 } from '../rpc/http/v1/start-v1.ts';
import { createMemoryKeyValue, type MemoryKeyValue } from '../rpc/memory-key-value.ts';

export const address = (port: number): string => `http://127.0.0.1:${port}`;

/** Ends with the test. */
export async function node(keyValue: MemoryKeyValue = createMemoryKeyValue(4), limits: Partial<HttpLimits> = {}): Promise<Running> {
  const running = await startV1(limits, 5_000, keyValue);
  onTestFinished(() => running.stop());
  return running;
}

/** A node that stays where it is while the others go on: what it has not applied it does not tell. */
export function behind(keyValue: MemoryKeyValue): MemoryKeyValue {
  const applied = [...keyValue.status.applied];
  const stale = new Map<string, FoundValue | undefined>();
  const read: KeyValue['read'] = async (key, options = {}): Promise<ReadAnswer> => {
    const answer = await keyValue.read(key);
    const { partition } = answer.applied;
    const here = { partition, offset: applied[partition] as (typeof applied)[number] };
    if (options.seen !== undefined && !reflects(here, options.seen)) {
      throw new BitacoraError('position-not-reached', 'not applied yet');
    }
    const found = answer.found?.version === undefined || answer.found.version.offset < here.offset ? answer.found : stale.get(key);
    return { ...answer, found, applied: here };
  };
  return Object.assign(Object.create(keyValue) as MemoryKeyValue, { peek: () => undefined, read });
}

/** Closed with the test. */
export function client(endpoints: readonly (string | number)[], options: Omit<BitacoraOptions, 'endpoints'> = {}): Bitacora {
  const names = endpoints.map((each) => (typeof each === 'number' ? address(each) : each));
  const kv = new Bitacora({ endpoints: names, ...options });
  onTestFinished(() => kv.close());
  return kv;
}

export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface Fake {
  readonly port: number;
  readonly requests: FakeRequest[];
}

export type Behaviour = (request: FakeRequest, response: ServerResponse, number: number) => void;

/** Does as it is told with every request, once it is whole. */
export async function fake(behaviour: Behaviour): Promise<Fake> {
  const requests: FakeRequest[] = [];
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('error', () => undefined);
    incoming.on('end', () => {
      const { method = '', url = '', headers } = incoming;
      const request = { method, path: url, headers, body: Buffer.concat(chunks).toString() };
      requests.push(request);
      behaviour(request, response, requests.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, requests };
}

/** A port that refuses. */
export async function refusing(): Promise<number> {
  const server = createNetServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const always = { 'Bitacora-Node': 'fake', 'Bitacora-Lag-Ms': '0' };

/** A node's answer. */
export function say(response: ServerResponse, status: number, body: string | object = '', headers: Record<string, string> = {}): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, { ...always, ...headers });
  response.end(text);
}

/** A node's problem. */
export function problem(response: ServerResponse, status: number, code: string, headers: Record<string, string> = {}): void {
  say(response, status, { code, title: code, status, detail: `said ${code}` }, { 'Content-Type': 'application/problem+json', ...headers });
}

/** What a node answers when all is well. */
export const well: Behaviour = ({ method, path }, response) => {
  if (method === 'GET') say(response, 200, 'fake value', { ETag: '"0:1"' });
  else if (method === 'DELETE') say(response, 204);
  else if (path.startsWith('/v1/batch'))
    say(response, 200, { results: [{ status: 204, key: 'k', version: '0:1', id: 'i' }], position: '' });
  else say(response, 200, { key: 'k', version: '0:1', expires: null, id: 'i' });
};

/** The rejection, which there must be. */
export async function failureOf(call: Promise<unknown>): Promise<ClientError> {
  const outcome = await call.then(
    (value) => ({ value }),
    (error: ClientError) => ({ error }),
  );
  if ('value' in outcome) throw new Error(`it resolved with ${JSON.stringify(outcome.value)}`);
  return outcome.error;
}

export async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const page of pages) found.push(page);
  return found;
}

export const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
