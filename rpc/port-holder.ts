/**
 * Who listens on a port, as far as Linux tells: `/proc/net/tcp` gives the socket's inode, `/proc/<pid>/fd` its owner. Processes of other
 * users and other systems stay unknown.
 *
 * ```
 *   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
 *    0: 0100007F:1F92 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 123456 …
 * ```
 */
import { readdir, readFile, readlink } from 'node:fs/promises';

const listening = '0A';

/** `name (process 123)`, or undefined when it cannot be found out. */
export async function portHolder(port: number): Promise<string | undefined> {
  try {
    const sockets = new Set((await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map((table) => inodes(table, port)))).flat());
    if (sockets.size === 0) return undefined;
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      if (!(await holds(pid, sockets))) continue;
      const name = (await readFile(`/proc/${pid}/comm`, 'utf8')).trim();
      return Number(pid) === process.pid ? 'this process itself' : `${name} (process ${pid})`;
    }
  } catch {
    // No /proc here, or the process ended meanwhile: the port's number has to do.
  }
  return undefined;
}

async function inodes(table: string, port: number): Promise<string[]> {
  const ending = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = (await readFile(table, 'utf8').catch(() => '')).split('\n').slice(1);
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(ending) && fields[3] === listening)
    .map((fields) => `socket:[${fields[9]}]`);
}

async function holds(pid: string, sockets: ReadonlySet<string>): Promise<boolean> {
  const files = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const file of files) {
    if (sockets.has(await readlink(`/proc/${pid}/fd/${file}`).catch(() => ''))) return true;
  }
  return false;
}
