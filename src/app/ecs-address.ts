/**
 * The address by which other nodes reach this one on AWS ECS (`NODE_ADDRESS=ecs`): the task metadata endpoint, version 4, says how
 * the task is connected; where the host's address is needed, the instance metadata service, version 2, knows it.
 *
 *   network mode   address                    from
 *   awsvpc         the task's own             task metadata
 *   host           the host's                 instance metadata
 *   bridge         the host's, and the port   instance metadata; the port that leads to this container from task metadata
 *   not on ECS     the host's                 instance metadata
 *
 * A place that is known to exist and does not answer is an error and never a reason to guess: an address that leads elsewhere would be
 * registered, and the other nodes would miss this one in silence.
 */
import { request } from 'node:http';
import { isIPv4, isIPv6 } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { BitacoraError } from '../core/errors.ts';

export interface HostAddressOptions {
  /** ECS_CONTAINER_METADATA_URI_V4 (set by ECS), and AWS_EC2_METADATA_SERVICE_ENDPOINT (as the AWS tools know it) for another address. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The port of the HTTP face inside the container. Default 8082. */
  readonly containerPort?: number;
  /** For everything together. Default 10,000. */
  readonly timeoutMs?: number;
  /** For one question. Default 2,000. */
  readonly callTimeoutMs?: number;
  /** Before the first repetition; doubled before each further one. Default 250. */
  readonly retryPauseMs?: number;
}

interface Limits {
  readonly timeoutMs: number;
  readonly callTimeoutMs: number;
  readonly retryPauseMs: number;
  /** When `timeoutMs` are over, on the monotonic clock. */
  readonly deadline: number;
}

/** The task's own address, or the host's with the port that leads to this container (undefined: the same as inside). */
type Place = { readonly address: string } | { readonly address: undefined; readonly hostPort: number | undefined };

const instanceMetadata = 'http://169.254.169.254';
const attempts = 4;
/** Task metadata is a few KiB. */
const maxAnswerBytes = 1024 * 1024;
/** One use, at once. */
const tokenSeconds = '60';

/**
 * `host` or `host:port` by which others reach this container.
 *
 * @throws BitacoraError `option-invalid`, at the latest shortly after `timeoutMs`, with one line that says who did not answer what.
 */
export async function findHostAddress(options: HostAddressOptions): Promise<string> {
  const { env, containerPort = 8082, timeoutMs = 10_000, callTimeoutMs = 2_000, retryPauseMs = 250 } = options;
  const limits: Limits = { timeoutMs, callTimeoutMs, retryPauseMs, deadline: performance.now() + timeoutMs };
  const task = env['ECS_CONTAINER_METADATA_URI_V4'];
  let hostPort: number | undefined;
  if (task) {
    // This container's part rather than `/task`: the ports of another container of the task would lead elsewhere.
    const place = await persistently('the ECS task metadata (ECS_CONTAINER_METADATA_URI_V4)', limits, async () =>
      placeOf(await ask(task, limits), containerPort),
    );
    if (place.address !== undefined) return place.address;
    hostPort = place.hostPort;
  }
  const service = env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] || instanceMetadata;
  const who = 'the EC2 instance metadata (from a container, its hop limit must be 2 or more)';
  const address = await persistently(who, limits, () => hostAddress(service.replace(/\/+$/, ''), limits));
  return hostPort === undefined ? address : `${address}:${hostPort}`;
}

/** IMDSv2: a token first, then the question that shows it. */
async function hostAddress(service: string, limits: Limits): Promise<string> {
  const given = await ask(`${service}/latest/api/token`, limits, 'PUT', { 'X-aws-ec2-metadata-token-ttl-seconds': tokenSeconds });
  const token = given.trim();
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Error('its token cannot be understood');
  const answer = await ask(`${service}/latest/meta-data/local-ipv4`, limits, 'GET', { 'X-aws-ec2-metadata-token': token });
  const address = answer.trim();
  if (!isIPv4(address)) throw new Error('its answer is not an IPv4 address');
  return address;
}

/** Reads the container's part of the task metadata. Throws an ordinary error for what may be different in a moment. */
function placeOf(text: string, containerPort: number): Place {
  const container = fields(parsed(text));
  const network = fields(list(container['Networks'])[0]);
  const mode = network['NetworkMode'];
  if (typeof mode !== 'string') throw new Error('its answer names no network');
  if (mode === 'awsvpc') {
    const [v4] = list(network['IPv4Addresses']);
    if (typeof v4 === 'string' && isIPv4(v4)) return { address: v4 };
    const [v6] = list(network['IPv6Addresses']);
    if (typeof v6 === 'string' && isIPv6(v6)) return { address: `[${v6}]:${containerPort}` };
    throw new Error('its answer names no address of the task');
  }
  if (mode === 'none') throw unusable('the task has no network; use network mode awsvpc, host or bridge');
  if (mode === 'host') return { address: undefined, hostPort: undefined };
  for (const one of list(container['Ports'])) {
    const { ContainerPort: inside, HostPort: outside, Protocol: protocol, HostIp: ip } = fields(one);
    // The agent lists a binding twice where the host has IPv6 too, with a port of its own.
    const isOther = protocol === 'udp' || (typeof ip === 'string' && isIPv6(ip));
    if (inside === containerPort && !isOther && isPort(outside)) return { address: undefined, hostPort: outside };
  }
  // The agent learns the port only after the container has started.
  throw new Error(`no port of the host leads to port ${containerPort} of this container: the task definition needs a port mapping`);
}

const isPort = (value: unknown): value is number => Number.isInteger(value) && (value as number) > 0 && (value as number) <= 65_535;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('its answer is not JSON');
  }
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const fields = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

/** Asks again after an ordinary error, a few times and while there is time. */
async function persistently<T>(who: string, limits: Limits, once: () => Promise<T>): Promise<T> {
  let reason = '';
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (attempt > 0) await pause(Math.min(limits.retryPauseMs * 2 ** (attempt - 1), left(limits)));
    if (left(limits) === 0) break;
    try {
      return await once();
    } catch (error) {
      if (error instanceof BitacoraError) throw error;
      reason = error instanceof Error ? error.message : String(error);
    }
  }
  throw unusable(`${who}: ${reason || `not asked, as ${limits.timeoutMs} ms are over`}; or name the address yourself`);
}

/** Milliseconds until everything must be over. */
const left = (limits: Limits): number => Math.max(0, Math.floor(limits.deadline - performance.now()));

const unusable = (reason: string): BitacoraError =>
  new BitacoraError('option-invalid', `NODE_ADDRESS=ecs finds no address: ${reason.replaceAll(/\s+/g, ' ')}`);

/** One question; resolves with the body of a 200. */
function ask(url: string, limits: Limits, method = 'GET', headers: Record<string, string> = {}): Promise<string> {
  const waitMs = Math.min(limits.callTimeoutMs, left(limits));
  return new Promise((resolve, reject) => {
    const call = request(url, { method, headers, agent: false }, (response) => {
      const pieces: Buffer[] = [];
      let size = 0;
      response.on('error', reject);
      response.on('data', (piece: Buffer) => {
        size += piece.length;
        pieces.push(piece);
        if (size > maxAnswerBytes) stop(new Error('its answer is too long'));
      });
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(pieces).toString('utf8'));
        else reject(new Error(`it answers ${response.statusCode}`));
      });
    });
    const stop = (reason: Error): void => {
      reject(reason);
      call.destroy();
    };
    // For the whole exchange: a server that sends a byte now and then is as bad as one that sends none.
    const late = setTimeout(() => stop(new Error(`no answer within ${waitMs} ms`)), waitMs);
    call.on('error', reject);
    call.on('close', () => clearTimeout(late));
    call.end();
  });
}
