/** What a benchmark says: lines, and ratios with the least they should be. A ratio below it makes the run fail at its end. */

const short: string[] = [];

export function line(text: string): void {
  process.stdout.write(`  ${text}\n`);
}

export function ratio(name: string, value: number, atLeast: number): void {
  const verdict = value >= atLeast ? 'ok' : 'SHORT';
  if (value < atLeast) short.push(name);
  line(`${name}: ${value.toFixed(2)} (at least ${atLeast}) ${verdict}`);
}

/** Names of the ratios that fell short. */
export function fellShort(): readonly string[] {
  return short;
}

export function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}
