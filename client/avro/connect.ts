/** Makes a client over Avro, and waits until one server has answered. */
import type { Chance, Clock } from '../../src/ports.ts';
import type { Client } from '../client.ts';
import type { Discovery, OnServers } from '../discovery/discovery.ts';
import { ClientConnectionError, ClientError } from '../errors.ts';
import type { Limits } from '../options.ts';
import type { Session } from '../session.ts';
import { Calls } from './calls.ts';
import { AvroClient } from './client.ts';
import { Dialects } from './dialect.ts';
import { namesOf } from './operation.ts';
import { Pool } from './pool.ts';
import type { World } from './server.ts';

export interface AvroConnectOptions {
  readonly limits: Limits;
  readonly session: Session;
  readonly clock: Clock;
  readonly chance: Pick<Chance, 'random'>;
  readonly logger: World['logger'];
  readonly signal: AbortSignal | undefined;
  readonly discover: (onServers: OnServers) => Promise<Discovery>;
}

/** Errors: `connection` (`ClientConnectionError`, saying what was tried), `aborted`, and those of the discovery. */
export async function connectAvro(options: AvroConnectOptions): Promise<Client> {
  const { limits, session, clock, chance, logger } = options;
  let ready = (): void => undefined;
  const reachable = new Promise<void>((resolve) => {
    ready = resolve;
  });
  const pool = new Pool({ limits, clock, chance, logger, dialects: new Dialects() }, () => {
    ready();
    calls.fill();
  });
  const calls = new Calls(pool, limits, clock, chance);
  let discovery: Discovery | undefined;
  try {
    discovery = await options.discover((servers) => pool.update(servers));
    await within(reachable, options, () => notReached(pool, discovery as Discovery, limits.connectTimeoutMs));
    return new AvroClient({ limits, clock, session, pool, calls, discovery });
  } catch (error) {
    await Promise.all([calls.close(), discovery?.close()]);
    throw error;
  }
}

function within(reachable: Promise<void>, { clock, limits, signal }: AvroConnectOptions, late: () => ClientError): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => {
      cancel();
      reject(new ClientError('aborted', 'the caller has stopped waiting', { cause: signal?.reason }));
    };
    const cancel = clock.after(limits.connectTimeoutMs, () => {
      signal?.removeEventListener('abort', aborted);
      reject(late());
    });
    void reachable.then(() => {
      cancel();
      signal?.removeEventListener('abort', aborted);
      resolve();
    });
    signal?.addEventListener('abort', aborted);
    if (signal?.aborted) aborted();
  });
}

function notReached(pool: Pool, { source, trouble }: Discovery, timeoutMs: number): ClientConnectionError {
  const tried = trouble === undefined ? pool.tried : [{ server: source, reason: trouble }, ...pool.tried];
  const names = tried.length === 0 ? `no server is listed in ${source}` : `tried ${namesOf(tried)}`;
  return new ClientConnectionError(`no server could be reached within ${timeoutMs} ms: ${names}`, tried);
}
