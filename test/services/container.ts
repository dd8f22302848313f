/** A server as a container of our own. */
import type { StartedTestContainer } from 'testcontainers';
import { connectDocker, disown, own, within } from './docker.ts';
import type { Server } from './server.ts';

export interface ContainerOptions {
  readonly name: string;
  readonly image: string;
  readonly environment: Record<string, string>;
  /** The port the server listens on inside, and the fixed port of the host that leads to it. */
  readonly port: { readonly container: number; readonly host: number };
  /** A network of {@link createNetwork} and this container's name in it. */
  readonly network?: { readonly name: string; readonly alias: string };
}

/** How long the daemon may take for one order, in milliseconds. */
const orderLimitMs = 60_000;
const terminateLimitSeconds = 15;

/** A server that runs in a container. Nothing runs yet; the container is removed by `dispose`, or when this process ends. */
export function containerServer(options: ContainerOptions): Server {
  const { name, image, environment, port, network } = options;
  let container: StartedTestContainer | undefined;
  let owned = false;

  async function handle() {
    if (container === undefined) throw new Error(`${name} was never started`);
    return (await connectDocker()).container.getById(container.getId());
  }

  async function state() {
    return (await (await handle()).inspect()).State;
  }

  async function create(): Promise<StartedTestContainer> {
    const { GenericContainer, Wait } = await import('testcontainers');
    const labels = own();
    owned = true;
    const prepared = new GenericContainer(image)
      .withEnvironment(environment)
      .withExposedPorts(port)
      .withLabels(labels)
      .withAutoCleanup(false) // the guardian of docker.ts cleans up
      .withWaitStrategy(Wait.forAll([])); // readiness is ours to judge
    if (network !== undefined) prepared.withNetworkMode(network.name).withNetworkAliases(network.alias);
    return prepared.start();
  }

  async function thaw(): Promise<void> {
    if ((await state()).Paused) await (await handle()).unpause();
  }

  return {
    name,
    async start() {
      if (container === undefined) container = await within(orderLimitMs, `the start of ${image}`, create);
      else await (await handle()).start();
    },
    pause: async () => void (await (await handle()).pause()),
    resume: async () => void (await (await handle()).unpause()),
    async kill() {
      if (!(await state()).Running) return;
      await thaw(); // a frozen container takes no signal
      const killed = await handle();
      await killed.kill();
      await within(orderLimitMs, `the end of ${name}`, () => killed.wait());
    },
    async terminate() {
      if (!(await state()).Running) return;
      await thaw();
      await (await handle()).stop({ t: terminateLimitSeconds });
    },
    async dispose() {
      if (!owned) return;
      owned = false;
      if (container !== undefined) await (await handle()).remove({ force: true, v: true });
      await disown();
    },
    async ended() {
      const { Running, ExitCode } = await state();
      return Running ? undefined : `code ${ExitCode}`;
    },
    async logTail() {
      const output = await (await handle()).logs({ stdout: true, stderr: true, tail: 40, follow: false });
      // Docker puts a header of eight bytes, with control characters, before each piece.
      return output.toString('utf8').replaceAll(/[^\n\t\x20-\x7e]/g, '');
    },
  };
}

/** A network in which containers find each other by alias. */
export async function createNetwork(): Promise<{ name: string; remove(): Promise<void> }> {
  const { dockerode } = (await connectDocker()).container;
  const name = `bitacora-test-${process.pid}-${Date.now()}`;
  const network = await dockerode.createNetwork({ Name: name, Labels: own() });
  return {
    name,
    async remove() {
      await network.remove();
      await disown();
    },
  };
}

/** Where ports of containers are reached. By address, as `localhost` may resolve to an IPv6 address that nothing listens on. */
export async function dockerHost(): Promise<string> {
  const { host } = (await connectDocker()).info.containerRuntime;
  return host === 'localhost' ? '127.0.0.1' : host;
}
