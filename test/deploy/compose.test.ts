/** compose.yaml, deploy/nginx.conf and the Dockerfile name one another's parts; nothing but this looks whether the names meet. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Option, options, variablesOf } from '../../src/app/config/options.ts';

interface Service {
  readonly image: string;
  readonly build?: string;
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: object;
  readonly extra_hosts?: readonly string[];
  readonly networks?: { readonly default: { readonly ipv4_address: string } };
  readonly read_only?: boolean;
  readonly tmpfs?: readonly string[];
}

const root = join(import.meta.dirname, '../..');
const text = (path: string): string => readFileSync(join(root, path), 'utf8');
const compose = parse(text('compose.yaml'), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};
const nginx = text('deploy/nginx.conf');
const services = Object.entries(compose.services);
const nodes = services.filter(([, service]) => service.build !== undefined);
const settings: readonly Option[] = options;
const variables = settings.flatMap(variablesOf);
const setting = (name: string): number => Number(settings.find((option) => option.name === name)?.default);

it('three nodes run from the image, each with a name, a volume and an address of its own', () => {
  expect(nodes.map(([name]) => name)).toEqual(['node1', 'node2', 'node3']);
  for (const [name, node] of nodes) {
    expect(node.environment?.['NODE_ADDRESS']).toBe(`${name}:${setting('API_PORT')}`);
    expect(node.volumes).toEqual([`${name}:/data`]);
    expect(node.read_only).toBe(true);
    expect(node.tmpfs).toContain('/tmp');
  }
  expect(new Set(nodes.map(([, node]) => node.networks?.default.ipv4_address)).size).toBe(3);
});

it('nodes and image are given only settings that there are', () => {
  for (const [, node] of nodes) for (const name of Object.keys(node.environment ?? {})) expect(variables).toContain(name);
  for (const [name] of text('Dockerfile').matchAll(/\bBITACORA_[A-Z_]+/g)) expect(variables).toContain(name);
});

it('who waits for the health of another waits for one that has a health check', () => {
  for (const [, service] of services) {
    for (const [name, { condition }] of Object.entries(service.depends_on ?? {})) {
      expect(condition).toBe('service_healthy');
      const other = compose.services[name];
      expect(other?.healthcheck !== undefined || (other?.build !== undefined && /^HEALTHCHECK /m.test(text('Dockerfile')))).toBe(true);
    }
  }
});

it('every volume is declared and every mounted file is there', () => {
  for (const [, service] of services) {
    for (const [from = ''] of (service.volumes ?? []).map((volume) => volume.split(':'))) {
      expect(from.startsWith('./') ? existsSync(join(root, from)) : from in compose.volumes).toBe(true);
    }
  }
});

it('the balancer knows every node under its address', () => {
  const servers = [...nginx.matchAll(/^\s*server (\S+) max_fails/gm)].map(([, server]) => server);
  expect(servers).toEqual(nodes.map(([name]) => `${name}:${setting('API_PORT')}`));
  const balancer = compose.services['balancer'];
  expect(balancer?.extra_hosts).toEqual(nodes.map(([name, node]) => `${name}:${node.networks?.default.ipv4_address}`));
});

it('the balancer waits longer than a node does, keeps connections shorter, and never sends a POST twice', () => {
  const milliseconds = (directive: RegExp): number => Number(directive.exec(nginx)?.[1]) * 1000;
  expect(milliseconds(/^\s*proxy_read_timeout (\d+)s;/m)).toBeGreaterThan(setting('WRITE_TIMEOUT'));
  expect(milliseconds(/^\s*keepalive_timeout (\d+)s;/m)).toBeLessThan(setting('KEEP_ALIVE_TIMEOUT'));
  expect(/^\s*proxy_next_upstream (.*);/m.exec(nginx)?.[1]).toBe('error timeout');
});

it('the image is built from everything that the build reads', () => {
  const { include } = JSON.parse(text('tsconfig.build.json')) as { include: string[] };
  const ignored = text('.dockerignore').split('\n');
  for (const name of [...include, 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'])
    expect(ignored).toContain(`!${name}`);
});

it('the example of a task definition runs the image’s own program with settings that there are', () => {
  const task = JSON.parse(text('deploy/aws-ecs/task-definition.json')) as {
    containerDefinitions: { environment: { name: string }[]; healthCheck: { command: string[] }; user: string }[];
  };
  for (const container of task.containerDefinitions) {
    for (const { name } of container.environment) expect(variables).toContain(name);
    expect(text('Dockerfile')).toContain(`USER ${container.user}`);
    const [, ...entry] = container.healthCheck.command;
    expect(text('Dockerfile')).toContain(`ENTRYPOINT ${JSON.stringify(entry.slice(0, 2)).replaceAll('","', '", "')}`);
  }
});
