/** The keys that the workload writes; the topic holds others, of the system's and of other producers. */

export const prefix = 'k/';

export function isUserKey(key: string): boolean {
  return key.startsWith(prefix);
}

/** Few enough that writers meet. */
export const workloadKeys: readonly string[] = Array.from({ length: 30 }, (_, i) => `${prefix}${i % 3}/${i}`);
