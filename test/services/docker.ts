/** The Docker daemon, if one answers, and what of ours is in it. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { ContainerRuntimeClient } from 'testcontainers';
import { Guardian } from './guardian.ts';

export type Docker = ContainerRuntimeClient['container']['dockerode'];

/** How long the daemon may take to answer a question, in milliseconds. */
const answerLimitMs = 10_000;
/** A pull that shows no progress for this long has no registry to talk to. */
const pullSilenceMs = 20_000;
const pullLimitMs = 300_000;

let connecting: Promise<ContainerRuntimeClient> | undefined;

/**
 * The container runtime that testcontainers finds (DOCKER_HOST, a context, the usual sockets).
 *
 * @throws Error when there is none.
 */
export function connectDocker(): Promise<ContainerRuntimeClient> {
  // Loaded only here, since it takes a third of a second that runs without Docker need not pay.
  connecting ??= within(answerLimitMs, 'the Docker daemon', async () => (await import('testcontainers')).getContainerRuntimeClient());
  return connecting;
}

/** Why `image` cannot be run, or undefined when it can: it is here, or was pulled now. */
export async function dockerObstacle(image: string): Promise<string | undefined> {
  let docker: Docker;
  try {
    docker = (await connectDocker()).container.dockerode;
  } catch {
    return 'no Docker daemon answers';
  }
  const present = await within(answerLimitMs, 'the Docker daemon', () => docker.getImage(image).inspect()).then(
    () => true,
    () => false,
  );
  if (present) return undefined;
  try {
    await pull(docker, image);
    return undefined;
  } catch (error) {
    return `image ${image} is not here and cannot be pulled (${error instanceof Error ? error.message : String(error)})`;
  }
}

async function pull(docker: Docker, image: string): Promise<void> {
  const progress = await within(pullSilenceMs, 'the image registry', () => docker.pull(image));
  await new Promise<void>((resolve, reject) => {
    const giveUp = (): void => reject(new Error('no progress'));
    let silence = setTimeout(giveUp, pullSilenceMs);
    const limit = setTimeout(() => reject(new Error(`not done after ${pullLimitMs} ms`)), pullLimitMs);
    const settle = (error: Error | null): void => {
      clearTimeout(silence);
      clearTimeout(limit);
      if (error === null) resolve();
      else reject(error);
    };
    docker.modem.followProgress(progress, settle, () => {
      clearTimeout(silence);
      silence = setTimeout(giveUp, pullSilenceMs);
    });
  });
}

/** Settles as `work` does, or fails after `limitMs`. The work itself is not stopped. */
export async function within<T>(limitMs: number, who: string, work: () => Promise<T>): Promise<T> {
  const late = new AbortController();
  const timeout = delay(limitMs, undefined, { signal: late.signal }).then(() => {
    throw new Error(`no answer from ${who} within ${limitMs} ms`);
  });
  try {
    return await Promise.race([work(), timeout]);
  } finally {
    timeout.catch(() => undefined);
    late.abort();
  }
}

/**
 * The label that everything of this process carries in Docker. A guardian removes what carries it when this process is
 * gone; testcontainers' own reaper is an image of its own, which an offline machine does not have.
 */
const ownerLabel = { name: 'bitacora.test.owner', value: randomUUID() };
let guardian: Guardian | undefined;
let owned = 0;

/** Labels for one more container or network of this process, and starts watching over it. */
export function own(): Record<string, string> {
  guardian ??= new Guardian({ label: `${ownerLabel.name}=${ownerLabel.value}` });
  owned += 1;
  return { [ownerLabel.name]: ownerLabel.value };
}

/** One container or network was removed by us. */
export async function disown(): Promise<void> {
  owned -= 1;
  if (owned > 0 || guardian === undefined) return;
  const idle = guardian;
  guardian = undefined;
  idle.forgetContainers();
  await idle.close();
}
