import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { findHostAddress, type HostAddressOptions } from '../../src/app/ecs-address.ts';
import { containerMetadata, type FakeEndpoint, fakeEndpoint, instanceMetadata } from './fake-endpoint.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const open: FakeEndpoint[] = [];

async function endpoint(answer: Answer): Promise<FakeEndpoint> {
  const made = await fakeEndpoint(answer);
  open.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

const says =
  (body: string, status = 200): Answer =>
  (_request, response) =>
    void response.writeHead(status).end(body);

const hangs: Answer = () => undefined;

/** Sends a byte now and then, for ever. */
const drips: Answer = (_request, response) => {
  response.writeHead(200);
  const drip = setInterval(() => response.write('{'), 20);
  response.once('close', () => clearInterval(drip));
};

const quick = { timeoutMs: 1_000, callTimeoutMs: 100, retryPauseMs: 5 };

interface Places {
  readonly task?: FakeEndpoint;
  readonly instance?: FakeEndpoint;
}

/** Where no instance metadata is given, nothing listens there. */
function find(places: Places, options: Partial<HostAddressOptions> = {}): Promise<string> {
  const env = {
    ECS_CONTAINER_METADATA_URI_V4: places.task && `${places.task.url}/v4/0f1e`,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: places.instance?.url ?? 'http://127.0.0.1:1',
  };
  return findHostAddress({ env, ...quick, ...options });
}

const bridge = [{ NetworkMode: 'bridge', IPv4Addresses: ['172.17.0.2'] }];
const awsvpc = [{ NetworkMode: 'awsvpc', IPv4Addresses: ['10.0.2.61'] }];

describe('the address on ECS', () => {
  it('is the task’s own in network mode awsvpc, and nothing else is asked', async () => {
    const task = await endpoint(says(containerMetadata(awsvpc, [{ ContainerPort: 8082, Protocol: 'tcp', HostPort: 8082 }])));
    const instance = await endpoint(instanceMetadata('10.0.9.9'));
    expect(await find({ task, instance })).toBe('10.0.2.61');
    expect(task.asked).toEqual(['GET /v4/0f1e']);
    expect(instance.asked).toEqual([]);
  });

  it('is in brackets and with its port when the task has only IPv6', async () => {
    const task = await endpoint(says(containerMetadata([{ NetworkMode: 'awsvpc', IPv6Addresses: ['fd00::61'] }])));
    expect(await find({ task }, { containerPort: 9000 })).toBe('[fd00::61]:9000');
  });

  it('is the host’s with the published port in network mode bridge', async () => {
    const ports = [
      { ContainerPort: 8083, Protocol: 'tcp', HostPort: 32_770, HostIp: '0.0.0.0' },
      { ContainerPort: 8082, Protocol: 'tcp', HostPort: 32_769, HostIp: '::' },
      { ContainerPort: 8082, Protocol: 'tcp', HostPort: 32_768, HostIp: '0.0.0.0' },
    ];
    const task = await endpoint(says(containerMetadata(bridge, ports)));
    const instance = await endpoint(instanceMetadata('10.0.9.9\n'));
    expect(await find({ task, instance })).toBe('10.0.9.9:32768');
    expect(instance.asked).toEqual(['PUT /latest/api/token', 'GET /latest/meta-data/local-ipv4']);
  });

  it('waits for a published port that the agent does not know yet', async () => {
    const answers = [
      containerMetadata(undefined),
      containerMetadata(bridge),
      containerMetadata(bridge, [{ ContainerPort: 8082, HostPort: 0 }]),
    ];
    const known = containerMetadata(bridge, [{ ContainerPort: 8082, Protocol: 'tcp', HostPort: 32_768 }]);
    const task = await endpoint((_request, response) => void response.end(answers.shift() ?? known));
    const instance = await endpoint(instanceMetadata('10.0.9.9'));
    expect(await find({ task, instance })).toBe('10.0.9.9:32768');
  });

  it('is refused in network mode bridge when no port is published, since nobody could reach it', async () => {
    const task = await endpoint(says(containerMetadata(bridge)));
    const instance = await endpoint(instanceMetadata('10.0.9.9'));
    await expect(find({ task, instance })).rejects.toThrow('no port of the host leads to port 8082 of this container');
    expect(instance.asked).toEqual([]);
  });

  it('is the host’s in network mode host', async () => {
    const task = await endpoint(says(containerMetadata([{ NetworkMode: 'host' }])));
    const instance = await endpoint(instanceMetadata('10.0.9.9'));
    expect(await find({ task, instance })).toBe('10.0.9.9');
  });

  it('is the host’s on an instance without ECS', async () => {
    expect(await find({ instance: await endpoint(instanceMetadata('10.0.9.9')) })).toBe('10.0.9.9');
  });

  it('is refused for a task without network, at once', async () => {
    const task = await endpoint(says(containerMetadata([{ NetworkMode: 'none' }])));
    await expect(find({ task })).rejects.toMatchObject({ code: 'option-invalid', message: expect.stringContaining('no network') });
    expect(task.asked).toHaveLength(1);
  });
});

describe('a bad day of an endpoint', () => {
  it('is outlived when it is short', async () => {
    let bad = 2;
    const good = instanceMetadata('10.0.9.9');
    const instance = await endpoint((request, response) => (bad-- > 0 ? says('', 500)(request, response) : good(request, response)));
    expect(await find({ instance })).toBe('10.0.9.9');
  });

  it('does not make this container guess: task metadata that is there and fails is not passed over', async () => {
    const task = await endpoint(says('', 500));
    const instance = await endpoint(instanceMetadata('10.0.9.9'));
    await expect(find({ task, instance })).rejects.toThrow('it answers 500');
    expect(task.asked).toHaveLength(4);
    expect(instance.asked).toEqual([]);
  });

  it.each<[string, Answer, string]>([
    ['hangs', hangs, 'no answer within'],
    ['sends a byte now and then', drips, 'no answer within'],
    ['answers garbage', says('<html>\n\u0000'), 'is not JSON'],
    ['answers JSON of another kind', says('[null]'), 'names no network'],
    [
      'names a network without address',
      says(containerMetadata([{ NetworkMode: 'awsvpc', IPv4Addresses: ['10.0.2.300'] }])),
      'names no address',
    ],
    ['answers without end', says(' '.repeat(2 * 1024 * 1024)), 'too long'],
    ['closes the connection', (request) => void request.socket.destroy(), 'socket hang up'],
    ['redirects', (_request, response) => void response.writeHead(302, { Location: '/' }).end(), 'it answers 302'],
  ])('task metadata that %s is an error within bounds', async (_name, answer, reason) => {
    await isRefused({ task: await endpoint(answer) }, reason);
  });

  it.each<[string, Answer, string]>([
    ['hangs', hangs, 'no answer within'],
    ['gives a token and then hangs', (request, response) => (request.method === 'PUT' ? response.end('t') : undefined), 'no answer within'],
    ['answers garbage', says('ÿ\u0000'), 'its token cannot be understood'],
    ['answers garbage for the address', (request, response) => void response.end(request.method === 'PUT' ? 't' : '<html>'), 'not an IPv4'],
    [
      'refuses its own token',
      (request, response) => (request.method === 'PUT' ? response.end('t') : says('', 401)(request, response)),
      '401',
    ],
    ['is forbidden', says('', 403), 'it answers 403'],
  ])('instance metadata that %s is an error within bounds', async (_name, answer, reason) => {
    await isRefused({ instance: await endpoint(answer) }, reason);
  });

  it('nothing that listens is an error within bounds', async () => {
    await isRefused({}, 'ECONNREFUSED');
  });

  it('a time limit shorter than one question holds too', async () => {
    const began = performance.now();
    await expect(find({ task: await endpoint(hangs) }, { timeoutMs: 150, callTimeoutMs: 60_000 })).rejects.toThrow('no answer within');
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});

/** Fails with one line, and not later than everything together may take. */
async function isRefused(places: Places, reason: string): Promise<void> {
  const began = performance.now();
  const error = await find(places).then(
    (address) => new Error(`found ${address}`),
    (failure: unknown) => failure as Error,
  );
  // Wide of the 1,000 ms allowed, because the machine may be slow; nothing else here would ever end.
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(error).toMatchObject({ code: 'option-invalid' });
  expect(error.message).toContain(reason);
  expect(error.message).toContain('NODE_ADDRESS=ecs');
  expect(error.message).not.toContain('\n');
}

/** The built program on a memory log, told to ask ECS. */
function startNode(task: FakeEndpoint) {
  return spawn(process.execPath, ['dist/src/app/main.js', 'serve'], {
    env: { ECS_CONTAINER_METADATA_URI_V4: task.url, NODE_ADDRESS: 'ecs', API_PORT: '0', LOG: 'memory', BITACORA_LOG_FORMAT: 'json' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

it('a node told to ask ECS goes by the address it was told', async () => {
  const node = startNode(await endpoint(says(containerMetadata(awsvpc))));
  const limit = setTimeout(() => node.kill('SIGKILL'), 40_000);
  let said = '';
  node.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (said.includes('"node.listening"')) node.kill('SIGTERM');
  });
  const [code] = await once(node, 'close');
  clearTimeout(limit);
  expect(said).toMatch(/"event":"node.listening".*"address":"10\.0\.2\.61:\d+"/);
  expect(code).toBe(0);
});

it('a node told to ask ECS ends with one line and a code when the endpoint hangs', async () => {
  const node = startNode(await endpoint(hangs));
  const limit = setTimeout(() => node.kill('SIGKILL'), 40_000);
  let said = '';
  node.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const [code] = await once(node, 'close');
  clearTimeout(limit);
  expect(said).toMatch(/^bitacora: option-invalid: NODE_ADDRESS=ecs finds no address: .*no answer within \d+ ms.*\n$/);
  expect(code).toBe(2);
});
