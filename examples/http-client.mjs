/**
 * The HTTP client in one screen. Build first (`npm run build`), start a node (`npm start`), then:
 *
 *   node examples/http-client.mjs                                                the node on this machine
 *   ENDPOINTS=http://n1:8082,http://n2:8082 node examples/http-client.mjs        nodes by name
 */
import { Bitacora, ClientConnectionError, VersionConflictError } from 'bitacora/client/http';

const { ENDPOINTS = 'http://127.0.0.1:8082' } = process.env;

const kv = new Bitacora({ endpoints: ENDPOINTS.split(','), attempts: 4 });
try {
  const { node, state, supports } = await kv.node();
  console.log('node', node, state, supports.join(' '));

  const { version } = await kv.put('example/greeting', 'hello', { ttlMs: 60_000, contentType: 'text/plain' });
  // Whichever node answers, it is not older than the write.
  console.log('written at', version, 'read', await kv.get('example/greeting'));

  await kv.cas('example/greeting', version, 'hello again');
  try {
    await kv.cas('example/greeting', version, 'too late');
  } catch (error) {
    if (!(error instanceof VersionConflictError)) throw error;
    console.log('somebody was faster: it is at', error.current);
  }

  // Ten at once, and none is lost.
  const increment = (record) => String(Number(record?.text() ?? 0) + 1);
  await Promise.all(Array.from({ length: 10 }, () => kv.update('example/counter', increment)));
  console.log('counted', await kv.get('example/counter', { consistency: 'linearizable' }));

  const results = await kv.batch([
    { op: 'put', key: 'example/a/1', value: '1' },
    { op: 'put', key: 'example/a/2', value: Uint8Array.of(0xff), ifAbsent: true },
    { op: 'get', key: 'example/none' },
  ]);
  for (const { key, status, error } of results) console.log(key, status, error?.code ?? '');

  for await (const { items, prefixes } of kv.list({ prefix: 'example/', delimiter: '/' })) {
    for (const item of items) console.log(item.key, item.version, item.size);
    for (const prefix of prefixes) console.log(prefix, await kv.count(prefix));
  }

  // Another process that is given this text sees all of the above.
  console.log('position', kv.position);

  for (const key of ['greeting', 'counter', 'a/1', 'a/2']) await kv.del(`example/${key}`);
  console.log('left', await kv.count('example/'));
} catch (error) {
  if (!(error instanceof ClientConnectionError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await kv.close();
}
