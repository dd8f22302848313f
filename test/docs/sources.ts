/** The project's own files, for tests that read them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

export const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Paths of the TypeScript and JavaScript files under folders of the project, with `/`; a folder that is not there yet has none. */
export function filesIn(...folders: string[]): string[] {
  return folders.flatMap((folder) => {
    try {
      return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && /\.(ts|mts|js|mjs)$/.test(entry.name))
        .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  });
}

/** What a file imports: modules as written, in `import`, `export … from`, `import()` and `require()`. */
export function importsOf(path: string): string[] {
  // Comments may speak of imports.
  const code = textOf(path)
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/^\s*\/\/.*$/gm, '');
  const said = /(?:^|[;\s])(?:import|export)\s(?:[^'";]*?\sfrom\s)?['"]([^'"]+)['"]|(?:import|require)\(\s*['"]([^'"]+)['"]/g;
  return [...code.matchAll(said)].map((match) => (match[1] ?? match[2]) as string);
}

/** A relative import as a path of the project; others as they are. */
export function resolved(from: string, specifier: string): string {
  return specifier.startsWith('.') ? join(from, '..', specifier).replaceAll('\\', '/') : specifier;
}
