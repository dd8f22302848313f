/**
 * The client library in one screen. Build first (`npm run build`), start a node (`npm start`), then:
 *
 *   node examples/client.mjs                                       the node on this machine
 *   SERVERS=n1:8083,n2:8083 node examples/client.mjs               nodes by name
 *   ZOOKEEPER_HOSTS=zk-1:2181 node examples/client.mjs             nodes as ZooKeeper lists them
 */
import { ClientConnectionError, connect } from 'bitacora/client';

const { ZOOKEEPER_HOSTS, SERVERS = '127.0.0.1:8083' } = process.env;

try {
  const client = await connect({
    ...(ZOOKEEPER_HOSTS ? { zookeeper: ZOOKEEPER_HOSTS } : { servers: SERVERS.split(',') }),
    connectTimeoutMs: 3_000,
  });
  try {
    console.log('servers', client.servers);

    const written = await client.set('example:greeting', 'hello', { ttlMs: 60_000 });
    console.log('written at', written.version);

    // Whichever server answers, it is not older than the write.
    console.log('read', await client.get('example:greeting'));

    const record = await client.getRecord('example:greeting');
    console.log('known of it', { version: record?.version, timestamp: record?.timestamp, expires: record?.expires });

    const results = await client.setMany(
      new Map([
        ['example:a', '1'],
        ['example:b', '2'],
      ]),
    );
    for (const { key, error } of results) if (error) console.error(key, error.code);
    for (const { key, found } of await client.getMany(['example:a', 'example:b', 'example:c'])) console.log(key, found?.text());

    // Another process that is given this text sees all of the above.
    console.log('position', client.position);

    for (const key of ['example:greeting', 'example:a', 'example:b']) await client.delete(key, { timeoutMs: 2_000 });
    console.log('deleted', await client.get('example:greeting'));
  } finally {
    await client.close();
  }
} catch (error) {
  if (!(error instanceof ClientConnectionError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
