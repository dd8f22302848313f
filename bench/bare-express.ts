/** A bare Express 5 route that sends the same JSON, in a process of its own. Prints its port. */
import type { AddressInfo } from 'node:net';
import express from 'express';

const app = express();
app.get('/rpc', (request, response) => {
  response.json({
    key: request.query['key'],
    value: 'v'.repeat(100),
    timestamp: 1_795_253_993_760,
    source: 1,
    ttl: 0,
    uuid: '42716e64-a571-46e8-90ac-6776da8d253a',
  });
});
const server = app.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
