/** Ports for servers that tests start. */
import { createServer } from 'node:net';

/**
 * Below the range from which Linux, macOS and Windows take the ports of outgoing connections. A client that keeps
 * dialling a dead broker on a port inside that range is one day given that very port, talks to itself, and the broker
 * can no longer be restarted on it.
 */
const lowest = 18_000;
const highest = 32_000;

/** Ports that nothing listens on at this moment, all different; random, so that test runs side by side seldom meet. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  for (let tries = 0; found.size < count; tries += 1) {
    if (tries > 200) throw new Error(`no free port between ${lowest} and ${highest} after ${tries} tries`);
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    if (!found.has(port) && (await isFree(port))) found.add(port);
  }
  return [...found];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
