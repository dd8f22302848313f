/** Load over HTTP, by autocannon in this process against a server in another. */
import autocannon from 'autocannon';

export interface Load {
  readonly perSecond: number;
  readonly p99Ms: number;
}

/** Warms up, then measures. Any answer but 2xx, or an error, fails the benchmark: a fast failure is not a rate. */
export async function load(options: {
  url: string;
  connections: number;
  seconds: number;
  method?: 'GET' | 'POST';
  body?: string;
}): Promise<Load> {
  const { url, connections, seconds, method = 'GET', body } = options;
  const headers = body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' };
  const request = { url, connections, method, headers, ...(body === undefined ? {} : { body }) };
  await autocannon({ ...request, duration: 1 });
  const result = await autocannon({ ...request, duration: seconds });
  if (result.errors > 0 || result.non2xx > 0)
    throw new Error(`${url}: ${result.errors} errors, ${result.non2xx} answers that were not 2xx`);
  return { perSecond: result.requests.average, p99Ms: result.latency.p99 };
}
