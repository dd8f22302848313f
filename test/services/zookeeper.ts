/** A real ZooKeeper for tests, of this test's own, that may be paused, killed and started again. */
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { chooseWay, type Way } from './choose.ts';
import { containerServer, dockerHost } from './container.ts';
import { freePorts } from './free-ports.ts';
import { zooKeeperClassPath } from './java-libraries.ts';
import { jvmServer, newDataDirectory } from './jvm.ts';
import { type Server, untilReady } from './server.ts';

export interface ZooKeeperService {
  /** `host:port`. */
  readonly hosts: string;
  readonly way: Way;
  /** Freezes it (SIGSTOP): connections stay open, nothing is answered. */
  pause(): Promise<void>;
  /** Ends a freeze. */
  resume(): Promise<void>;
  /** Ends it as a power cut of the process would (SIGKILL), also while paused. */
  kill(): Promise<void>;
  /** Starts it again on the same port and data, ending it in order if it runs; resolves when it serves. */
  restart(): Promise<void>;
  /** Ends it and deletes its data. Idempotent. */
  stop(): Promise<void>;
}

const version = '3.8.4';
const image = `zookeeper:${version}`;
const maxHeap = '-Xmx128m';

/** Sessions may be as short as two ticks, one second. */
const tickMs = 500;

/** Data that is thrown away needs no fsync, nor log files of 64 MB; it survives a killed process all the same. */
const quickDisk = { forceSync: 'no', preAllocSize: '1024' };

/**
 * Starts one ZooKeeper server and waits until it serves.
 *
 * @throws Error naming what to install when there is neither Docker nor Java, or with the server's log when it does not start.
 */
export async function startZooKeeper(): Promise<ZooKeeperService> {
  const way = await chooseWay({ title: `ZooKeeper ${version}`, image, jars: `zookeeper-${version}` });
  const [port] = (await freePorts(1)) as [number];
  const host = way === 'docker' ? await dockerHost() : '127.0.0.1';
  const server = way === 'docker' ? dockerServer(port) : await javaServer(port);
  let running = false;
  let stopping: Promise<void> | undefined;
  const service: ZooKeeperService = {
    hosts: `${host}:${port}`,
    way,
    pause: () => server.pause(),
    resume: () => server.resume(),
    async kill() {
      running = false;
      await server.kill();
    },
    async restart() {
      if (running) await server.terminate();
      running = true;
      await server.start();
      await untilReady(server, () => serves(host, port));
    },
    stop() {
      stopping ??= server.dispose();
      return stopping;
    },
  };
  try {
    await service.restart();
    return service;
  } catch (error) {
    await service.stop();
    throw error;
  }
}

async function javaServer(port: number): Promise<Server> {
  const classPath = await zooKeeperClassPath(version);
  const directory = await newDataDirectory('zookeeper');
  const configuration = join(directory, 'zoo.cfg');
  const settings = {
    dataDir: join(directory, 'data'),
    clientPort: port,
    clientPortAddress: '127.0.0.1',
    tickTime: tickMs,
    maxSessionTimeout: 60_000,
    maxClientCnxns: 0,
    '4lw.commands.whitelist': '*',
    ...quickDisk,
  };
  const server = jvmServer(`ZooKeeper ${version}`, directory, [
    maxHeap,
    '-Dzookeeper.admin.enableServer=false',
    '-cp',
    classPath,
    'org.apache.zookeeper.server.ZooKeeperServerMain',
    configuration,
  ]);
  await writeFile(
    configuration,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  return server;
}

function dockerServer(port: number): Server {
  return containerServer({
    name: `ZooKeeper ${version}`,
    image,
    environment: {
      ZOO_TICK_TIME: String(tickMs),
      ZOO_MAX_CLIENT_CNXNS: '0',
      ZOO_ADMINSERVER_ENABLED: 'false',
      ZOO_4LW_COMMANDS_WHITELIST: '*',
      ZOO_CFG_EXTRA: ['maxSessionTimeout=60000', ...Object.entries(quickDisk).map((pair) => pair.join('='))].join(' '),
      JVMFLAGS: maxHeap,
    },
    port: { container: 2181, host: port },
  });
}

/** Fails unless the four-letter word `srvr`, which every server allows, is answered by one that serves. */
export function serves(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: 2000 }, () => socket.write('srvr'));
    let answer = '';
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      answer += text;
    });
    socket.on('timeout', () => socket.destroy(new Error('no answer within 2 s')));
    socket.on('error', reject);
    socket.on('close', () => {
      if (answer.includes('Mode: ')) resolve();
      else reject(new Error(answer.trim() || 'closed without an answer'));
    });
  });
}
