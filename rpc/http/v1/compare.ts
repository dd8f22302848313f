/** Which nodes hold the same, judged by what each came to at the same places of the log. Pure. */
import type { Static } from './schema.ts';
import type { DigestsBody, VerifiedBody } from './verify-operations.ts';

type Digest = Static<typeof DigestsBody>['digests'][number];

/** What one node said; undefined: nothing, or not in time. */
export interface Word {
  readonly address: string;
  readonly digests: readonly Digest[] | undefined;
}

/** `positions`: of the marks, as text, one a partition. */
export function compare(run: string, positions: readonly string[], words: readonly Word[]): Static<typeof VerifiedBody> {
  const partitions = positions.map((position) => {
    const said = words.flatMap(({ digests }) => digests?.filter((each) => each.position === position && each.hash !== null) ?? []);
    return { position, ...mostOf(said) };
  });
  const nodes = words.map(({ address, digests }) => {
    const found = positions.map((position, i) => {
      const digest = digests?.find((each) => each.position === position);
      if (digest === undefined) return 'silent';
      if (digest.hash === null) return 'unsure';
      return digest.hash === partitions[i]?.hash ? 'agrees' : 'differs';
    });
    // The worst counts.
    const result = (['differs', 'silent', 'unsure'] as const).find((each) => found.includes(each)) ?? ('agrees' as const);
    return { address, result, partitions: result === 'agrees' ? [] : found.flatMap((each, i) => (each === result ? [i] : [])) };
  });
  return { run, agree: nodes.every(({ result }) => result === 'agrees'), partitions, nodes };
}

/** Nulls: nothing was said, or as many say one thing as another. */
function mostOf(said: readonly Digest[]): Pick<Digest, 'entries' | 'hash'> {
  const counts = new Map<string, number>();
  for (const { hash } of said) if (hash !== null) counts.set(hash, (counts.get(hash) ?? 0) + 1);
  const most = Math.max(0, ...counts.values());
  const [hash, ...others] = [...counts].filter(([, count]) => count === most && most > 0).map(([each]) => each);
  if (hash === undefined || others.length > 0) return { entries: null, hash: null };
  return { entries: said.find((each) => each.hash === hash)?.entries ?? null, hash };
}
