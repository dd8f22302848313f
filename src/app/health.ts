/** `bitacora health`: asks a node whether it is well, for HEALTHCHECK and scripts. Small on purpose: it is started every few seconds. */
import { get } from 'node:http';

const limitMs = 3_000;

/** Exit code 0: well; 1: not, or nobody answers, as Docker wants it; 2: asked wrongly. */
export function health(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<number> {
  const port = env['BITACORA_API_PORT'] || env['API_PORT'] || '8082';
  const url = argv.length === 0 ? `http://127.0.0.1:${port}/health` : argv[1];
  if (url === undefined || !URL.canParse(url) || (argv.length > 0 && (argv[0] !== '--url' || argv.length > 2))) {
    process.stderr.write('bitacora: health takes --url URL, or nothing\n');
    return Promise.resolve(2);
  }
  return new Promise((resolve) => {
    const fail = (reason: string) => {
      process.stderr.write(`${url}: ${reason}\n`);
      resolve(1);
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
