/** Nodes that give a store, as they should and otherwise. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { crc32 } from 'node:zlib';
import type { SnapshotSource } from '../../src/ports.ts';
import { jsonFrame, rowsFrameHead, type SnapshotTold, snapshotType } from '../../wire/snapshot-frames.ts';

export interface Frames {
  head: SnapshotTold;
  /** Bodies, and how many rows each holds. */
  runs: { bytes: Uint8Array; rows: number }[];
}

/** A whole snapshot, to be told truly or not; runs of at least four. */
export async function framesOf(source: SnapshotSource): Promise<Frames> {
  const snapshot = await source.snapshot();
  const { format, identity, checkpoints } = snapshot;
  const runs: Frames['runs'] = [];
  for await (const { bytes, rows } of snapshot.read(undefined)) runs.push({ bytes, rows });
  await snapshot.close();
  return { head: { snapshot: 1, name: 'fake', format, identity, checkpoints }, runs };
}

/** As a giver would send it. */
export function told({ head, runs }: Frames): Buffer[] {
  let checksum = 0;
  let rows = 0;
  const frames: Buffer[] = [jsonFrame('head', head)];
  for (const run of runs) {
    checksum = crc32(run.bytes, checksum);
    rows += run.rows;
    frames.push(Buffer.concat([rowsFrameHead(run.bytes.length, checksum), run.bytes]));
  }
  return [...frames, jsonFrame('end', { rows, checksum })];
}

const servers: (Server | TcpServer)[] = [];

async function started(server: Server | TcpServer): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server that answers as `answer` does; `asked` holds the targets of its requests. */
export async function fakeGiver(
  answer: (response: ServerResponse, url: string) => void,
): Promise<{ readonly address: string; readonly asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    answer(response, request.url ?? '');
  });
  return { address: await started(server), asked };
}

/** Sends these and ends. */
export const sends =
  (...frames: Uint8Array[]) =>
  (response: ServerResponse): void => {
    response.writeHead(200, { 'content-type': snapshotType });
    response.end(Buffer.concat(frames));
  };

/** A way to `address` that cuts connection `n` (from 0) after so many bytes of its answer; undefined: never. */
export async function cuttingProxy(
  address: string,
  cutAfter: (n: number) => number | undefined,
): Promise<{ address: string; count: () => number }> {
  const [host, port] = address.split(':') as [string, string];
  let count = 0;
  const server = createTcpServer((client) => {
    let left = cutAfter(count++) ?? Number.POSITIVE_INFINITY;
    const upstream = connect({ host, port: Number(port) });
    client.on('error', () => undefined).on('close', () => upstream.destroy());
    upstream.on('error', () => client.destroy()).on('close', () => client.destroy());
    client.pipe(upstream);
    upstream.on('data', (chunk: Buffer) => {
      if (!client.write(chunk.subarray(0, Math.min(left, chunk.length)))) {
        upstream.pause();
        client.once('drain', () => upstream.resume());
      }
      left -= chunk.length;
      // What was written before it still arrives.
      if (left <= 0) client.destroySoon();
    });
  });
  return { address: await started(server), count: () => count };
}

export function stopGivers(): void {
  for (const server of servers.splice(0)) {
    server.close();
    if ('closeAllConnections' in server) server.closeAllConnections();
  }
}
