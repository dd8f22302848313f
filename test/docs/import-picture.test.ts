/** Imports go one way: app -> walls and replica -> ports and the pure rooms. A picture that is checked stays true. */
import { describe, expect, test } from 'vitest';
import { filesIn, importsOf, resolved, textOf } from './sources.ts';

const walls = ['storage', 'cluster', 'rpc', 'client'] as const;

/** `file -> target` of every import of these folders that is not allowed. */
function strangers(folders: readonly string[], allowed: (target: string, file: string) => boolean): string[] {
  return filesIn(...folders).flatMap((file) =>
    importsOf(file)
      .map((specifier) => resolved(file, specifier))
      .filter((target) => !allowed(target, file))
      .map((target) => `${file} -> ${target}`),
  );
}
const isPath = (target: string): boolean => /\.(ts|mjs|js)$/.test(target) && target.includes('/');

describe('the import picture', () => {
  test('imports are found at all', () => {
    expect(importsOf('src/core/machine.ts')).toContain('../ports.ts');
    expect(importsOf('src/app/compose.ts')).toContain('../../storage/log/kafka/kafka-log.ts');
    expect(filesIn('src/core').length).toBeGreaterThan(5);
  });

  test('the ports import nothing but each other', () => {
    const isPort = (target: string) => target === 'src/ports.ts' || target === 'src/key-value.ts' || target.startsWith('src/ports/');
    for (const file of ['src/ports.ts', 'src/key-value.ts', ...filesIn('src/ports')])
      expect(importsOf(file).filter((target) => !isPort(resolved(file, target)))).toEqual([]);
  });

  test.each(['src/core', 'src/coordination'])('%s imports the ports and itself, and nothing of node', (room) => {
    expect(strangers([room], (target) => target === 'src/ports.ts' || target.startsWith(`${room}/`))).toEqual([]);
  });

  test('the pure rooms know neither clock nor chance', () => {
    for (const file of filesIn('src/core', 'src/coordination')) {
      expect(textOf(file), file).not.toMatch(/\bDate\b|Math\.random|performance\.|process\.|setTimeout|\bawait\b/);
    }
  });

  test('the replica knows ports and rules only: no socket, broker or file', () => {
    const rooms = ['src/core/', 'src/coordination/', 'src/replica/'];
    expect(strangers(['src/replica'], (target) => target === 'src/ports.ts' || rooms.some((room) => target.startsWith(room)))).toEqual([]);
  });

  test.each(walls)('%s, a wall, imports itself, the ports, the pure rooms and the wire: no other wall, no shell', (wall) => {
    const rooms = [`${wall}/`, 'src/core/', 'src/coordination/', 'wire/'];
    const allowed = (target: string) => !isPath(target) || target === 'src/ports.ts' || rooms.some((room) => target.startsWith(room));
    expect(strangers([wall], allowed)).toEqual([]);
  });

  test('the wire, which both ends share, imports itself, the ports and the pure rooms', () => {
    const rooms = ['wire/', 'src/core/'];
    const allowed = (target: string) => !isPath(target) || target === 'src/ports.ts' || rooms.some((room) => target.startsWith(room));
    expect(strangers(['wire'], allowed)).toEqual([]);
  });

  test.each(['storage/log/kafka', 'storage/log/embedded'])('%s does not know the other logs', (room) => {
    const others = ['storage/log/kafka/', 'storage/log/embedded/', 'storage/log/memory'].filter((other) => !`${room}/`.startsWith(other));
    expect(strangers([room], (target) => !others.some((other) => target.startsWith(other) && !target.includes('-shared')))).toEqual([]);
  });

  test.each(['kafkajs', 'classic-level', 'express', 'zookeeper', 'avsc', '@sinclair/typebox', 'pino', 'prom-client', 'yaml'])(
    '%s is named in one file',
    (name) => {
      const quoted = new RegExp(`(?:from|import|import\\(|require\\(|=)\\s*['"]${name}['"]`);
      const files = filesIn('src', 'storage', 'cluster', 'rpc', 'wire', 'client', 'deploy', 'scripts').filter((file) => {
        // Loaded by a name in a variable, ZooKeeper's is found by its quotes; a `kind` of the same word is none.
        const code = textOf(file).replaceAll(/readonly kind\b.*/g, '');
        return importsOf(file).includes(name) || quoted.test(code);
      });
      expect(files).toHaveLength(1);
    },
  );
});
