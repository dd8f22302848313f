/** `bitacora health`: asks a node whether it is well, for HEALTHCHECK and scripts. Small on purpose: it is started every few seconds. */
import { get } from 'node:http';

const limitMs = 3_000;

/** Exit code 0: well; 1: not; 5: nobody answers. */
export function health(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<number> {
  const port = env['BITACORA_API_PORT'] || env['API_PORT'] || '8082';
  const url = argv[0] === '--url' && argv[1] !== undefined ? argv[1] : `http://127.0.0.1:${port}/health`;
  return new Promise((resolve) => {
    const fail = (reason: string) => {
      process.stderr.write(`${url}: ${reason}\n`);
      resolve(5);
    };
    const request = get(url, { timeout: limitMs, agent: false }, (response) => {
      response.setEncoding('utf8');
      let body = '';
      response.on('data', (chunk: string) => {
        body = (body + chunk).slice(0, 200);
      });
      response.on('end', () => {
        process.stdout.write(`${body}\n`);
        resolve(response.statusCode === 200 ? 0 : 1);
      });
    });
    request.on('timeout', () => request.destroy(new Error(`no answer in ${limitMs} ms`)));
    request.on('error', (error) => fail(error.message));
  });
}
