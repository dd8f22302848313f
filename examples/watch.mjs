/**
 * A watch and a lock in one screen. Build first (`npm run build`), start a node (`npm start`), then run this twice, side by side:
 *
 *   node examples/watch.mjs                                                the node on this machine
 *   ENDPOINTS=http://n1:8082,http://n2:8082 node examples/watch.mjs        nodes by name; stop one meanwhile
 */
import { Bitacora, LockError } from 'bitacora/client/http';

const { ENDPOINTS = 'http://127.0.0.1:8082' } = process.env;
const turns = 5;

const kv = new Bitacora({ endpoints: ENDPOINTS.split(',') });
const copy = new Map();

/** Keeps the copy equal to what stands under the prefix, until the client is closed. */
async function follow(ready) {
  for await (const event of kv.watch({ prefix: 'example/turns/', initial: true, patienceMs: 10_000 })) {
    if (event.kind === 'reset') copy.clear();
    if (event.kind === 'put') copy.set(event.key, event.value);
    if (event.kind === 'delete') copy.delete(event.key);
    if (event.kind === 'sync') ready();
    console.log(event.kind, event.key ?? '', event.value ?? '');
  }
}

/** Not atomic, and need not be: nobody else is at it. What is read is not older than the lock. */
async function takeTurn({ signal, fence }) {
  const key = 'example/turns/count';
  const record = await kv.getRecord(key);
  signal.throwIfAborted();
  await kv.put(key, String(Number(record?.text() ?? 0) + 1), { ttlMs: 60_000 });
  console.log('process', process.pid, 'had the lock with fence', fence);
}

try {
  let following;
  await new Promise((resolve, reject) => {
    following = follow(resolve);
    following.catch(reject);
  });
  for (let turn = 0; turn < turns; turn++) await kv.lock('example/turns', takeTurn, { ttlMs: 5_000, info: { pid: process.pid } });

  const { versions } = await kv.history('example/turns/count', { limit: turns });
  console.log('the last counts', versions.map((version) => version.value ?? version.op).join(' '));
  console.log('a copy of', copy.size);
  await kv.close();
  await following;
} catch (error) {
  console.error(error instanceof LockError ? `${error.code}: ${error.message}` : error);
  process.exitCode = 1;
} finally {
  await kv.close();
}
