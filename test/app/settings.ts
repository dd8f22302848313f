/** What the tests of the settings share. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Config, configOf } from '../../src/app/config/config.ts';
import { loadSettings } from '../../src/app/config/load.ts';
import { codeOf } from '../../src/core/errors.ts';

type Environment = Readonly<Record<string, string>>;

/** A file with this content, gone after the test. */
export function fileWith(content: string, name = 'bitacora.yaml'): string {
  const directory = mkdtempSync(join(tmpdir(), 'bitacora-settings-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

/** The settings of a command line, an environment, and the text of a config file. */
export function configFrom(argv: readonly string[] = [], env: Environment = {}, yaml?: string): Config {
  const file = yaml === undefined ? [] : ['--config', fileWith(yaml)];
  return configOf(loadSettings([...argv, ...file], env));
}

/** The line with which settings are refused; fails when they are not. */
export function refusal(argv: readonly string[], env: Environment = {}, yaml?: string): string {
  try {
    configFrom(argv, env, yaml);
  } catch (error) {
    if (codeOf(error) === 'option-invalid') return (error as Error).message;
    throw error;
  }
  throw new Error('the settings were taken');
}
