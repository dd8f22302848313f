/** What a program gets that imports the client: avsc, node’s own modules, the wire and the core. ZooKeeper only when it is used. */
import { expect, test } from 'vitest';
import { importsOf, resolved, textOf } from '../docs/sources.ts';

/** Modules reached from a file: by `import` and `export … from`, and, when asked, also by `import()`. */
function reached(entry: string, lazy: boolean): Set<string> {
  const found = new Set<string>();
  const visit = (path: string): void => {
    if (found.has(path)) return;
    found.add(path);
    if (!path.endsWith('.ts')) return;
    const deferred = new Set([...textOf(path).matchAll(/import\(\s*'([^']+)'\s*\)/g)].map((match) => match[1]));
    for (const specifier of importsOf(path)) if (lazy || !deferred.has(specifier)) visit(resolved(path, specifier));
  };
  visit(entry);
  return found;
}

const allowed = (path: string): boolean => /^(client\/|wire\/|src\/core\/|src\/(ports|key-value)\.ts$|src\/ports\/|node:|avsc$)/.test(path);

test('the walk follows imports', () => {
  const all = reached('client/index.ts', true);
  for (const path of ['client/avro/connection.ts', 'wire/avro/codec.ts', 'src/core/errors.ts', 'avsc', 'node:net']) {
    expect([...all]).toContain(path);
  }
});

test('nothing that a client does not need', () => {
  expect([...reached('client/index.ts', true)].filter((path) => !allowed(path))).toEqual([]);
});

test('nothing of ZooKeeper, unless it is used', () => {
  const used = [...reached('client/index.ts', false)].filter((path) => path.includes('zookeeper'));
  // A type alone: erased.
  expect(used).toEqual(['wire/zookeeper/session.ts']);
  expect(textOf('client/index.ts')).toMatch(/import type \{ OpenSession \} from '\.\.\/wire\/zookeeper\/session\.ts'/);
  expect([...reached('client/index.ts', true)]).toContain('client/discovery/zookeeper.ts');
});
