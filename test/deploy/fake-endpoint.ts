/** A metadata endpoint of our own on a free port of the loopback interface. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeEndpoint {
  readonly url: string;
  /** What was asked, as `METHOD /path`, in order. */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

export async function fakeEndpoint(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<FakeEndpoint> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Task metadata of one container, as the ECS agent writes it. */
export function containerMetadata(networks: unknown, ports?: unknown): string {
  return JSON.stringify({
    DockerId: 'ea32192c8553fbff06c9340478a2ff089b2bb5646fb718b4ee206641c9086d66',
    Name: 'bitacora',
    DesiredStatus: 'RUNNING',
    KnownStatus: 'RUNNING',
    Networks: networks,
    Ports: ports,
  });
}

/** IMDSv2: 401 without the token that it gives for a PUT with a lifetime. */
export function instanceMetadata(localIpv4: string): (request: IncomingMessage, response: ServerResponse) => void {
  const token = 'AQAEAFtNbJzH1u==';
  return (request, response) => {
    if (request.url === '/latest/api/token') {
      const seconds = Number(request.headers['x-aws-ec2-metadata-token-ttl-seconds']);
      if (request.method !== 'PUT') response.writeHead(405).end();
      else if (!(seconds >= 1 && seconds <= 21_600)) response.writeHead(400).end();
      else response.end(token);
    } else if (request.headers['x-aws-ec2-metadata-token'] !== token) response.writeHead(401).end('Unauthorized');
    else if (request.url === '/latest/meta-data/local-ipv4') response.end(localIpv4);
    else response.writeHead(404).end();
  };
}
