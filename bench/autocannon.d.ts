/** What the benchmarks use of autocannon, which has no types of its own. */
declare module 'autocannon' {
  interface Result {
    readonly errors: number;
    readonly non2xx: number;
    readonly requests: { readonly average: number };
    readonly latency: { readonly p99: number };
  }
  export default function autocannon(options: {
    url: string;
    connections: number;
    duration: number;
    method: string;
    headers: Record<string, string>;
    body?: string;
  }): Promise<Result>;
}
