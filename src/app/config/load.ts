/** Reads the settings from flags, environment, config file and defaults, and refuses what it does not know, with a suggestion. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { BitacoraError } from '../../core/errors.ts';
import { flagOf, keyOf, type Option, type OptionName, options, variablesOf } from './options.ts';

/** Where a value was found, for error lines. */
interface Found {
  readonly text: string;
  readonly origin: string;
}

export interface Settings {
  /** The value as text; empty: not set and without default. */
  text(name: OptionName): string;
  list(name: OptionName): string[];
  integer(name: OptionName): number;
  flag(name: OptionName): boolean;
  /** True when it was given anywhere, false when it is the default. */
  given(name: OptionName): boolean;
}

const table: readonly Option[] = options;

/** `argv` without the command. Errors: `option-invalid`, naming the setting, where it was found, and the way out. */
export function loadSettings(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Settings {
  const flags = readFlags(argv);
  const file = readFile(flags.get('CONFIG')?.text ?? env['BITACORA_CONFIG']);
  refuseUnknownVariables(env);
  const found = new Map<string, Found>();
  for (const option of table) {
    const value = flags.get(option.name) ?? fromEnvironment(option, env) ?? file.get(option.name);
    if (value === undefined) continue;
    check(option, value);
    found.set(option.name, value);
  }
  const text = (name: OptionName) => found.get(name)?.text ?? (table.find((option) => option.name === name) as Option).default;
  return {
    text,
    list: (name) => split(text(name)),
    integer: (name) => (text(name) === '' ? 0 : Number(text(name))),
    flag: (name) => text(name) === 'true',
    given: (name) => (found.get(name)?.text ?? '') !== '',
  };
}

const split = (text: string): string[] =>
  text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');

/** `--name value`, `--name=value`, and `--name` alone for a flag. */
function readFlags(argv: readonly string[]): Map<string, Found> {
  const found = new Map<string, Found>();
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] as string;
    if (!argument.startsWith('--')) throw invalid(`"${argument}" is not a setting; settings begin with --`);
    const [given, ...rest] = argument.split('=');
    const name = (given as string).slice(2).toUpperCase().replaceAll(/[-.]/g, '_');
    const option = table.find((each) => each.name === name);
    if (option === undefined && name !== 'CONFIG') throw unknown(given as string, [...table.map(flagOf), '--config']);
    const next = argv[i + 1];
    let text = rest.join('=');
    if (rest.length === 0) {
      // What looks like the next setting is no value; one that begins so can be given with `=`.
      const missing = next === undefined || next.startsWith('--');
      const alone = option?.type === 'flag' && missing;
      if (!alone && missing) throw invalid(`${given} needs a value`);
      text = alone ? 'true' : (next as string);
      if (!alone) i++;
    }
    found.set(name, { text, origin: given as string });
  }
  return found;
}

function fromEnvironment(option: Option, env: Readonly<Record<string, string | undefined>>): Found | undefined {
  for (const variable of variablesOf(option)) {
    const value = env[variable];
    // An empty variable is how compose files and shells say "not set".
    if (value !== undefined && value !== '') return { text: value, origin: variable };
    const path = option.secret ? env[`${variable}_FILE`] : undefined;
    if (path !== undefined && path !== '') return { text: slurp(path, `${variable}_FILE`).trim(), origin: `${variable}_FILE` };
  }
  return undefined;
}

function refuseUnknownVariables(env: Readonly<Record<string, string | undefined>>): void {
  const known = table.flatMap((option) => [`BITACORA_${option.name}`, ...(option.secret ? [`BITACORA_${option.name}_FILE`] : [])]);
  for (const variable of Object.keys(env)) {
    if (variable.startsWith('BITACORA_') && variable !== 'BITACORA_CONFIG' && !known.includes(variable)) throw unknown(variable, known);
  }
}

function readFile(path: string | undefined): Map<string, Found> {
  const found = new Map<string, Found>();
  if (path === undefined || path === '') return found;
  let content: unknown;
  try {
    content = parse(slurp(path, 'the config file'));
  } catch (error) {
    if (error instanceof BitacoraError) throw error;
    throw invalid(`${path} is not YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  if (content === null || content === undefined) return found;
  if (typeof content !== 'object' || Array.isArray(content)) throw invalid(`${path} must hold keys and values`);
  for (const [key, value] of Object.entries(content)) {
    const name = key.toUpperCase().replaceAll(/[-.]/g, '_');
    if (!table.some((option) => option.name === name)) throw unknown(`${key} in ${path}`, table.map(keyOf), key);
    if (value === null || (typeof value === 'object' && !Array.isArray(value))) throw invalid(`${key} in ${path} has no usable value`);
    found.set(name, { text: Array.isArray(value) ? value.join(',') : String(value), origin: `${key} in ${path}` });
  }
  return found;
}

function slurp(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw invalid(`${what} ${path} cannot be read: ${(error as Error).message}`);
  }
}

function check(option: Option, { text, origin }: Found): void {
  if (text === '' && option.default === '') return;
  if (option.type === 'list' ? split(text).length === 0 : text.trim() === '') throw invalid(`${origin} is empty`);
  if (option.choices !== undefined && !option.choices.includes(text))
    throw invalid(`${origin} is "${text}"; it can be ${option.choices.join(', ')}`);
  if (option.type === 'flag' && text !== 'true' && text !== 'false') throw invalid(`${origin} is "${text}"; it can be true or false`);
  if (option.type !== 'integer') return;
  const value = Number(text);
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = option;
  if (!/^\d+$/.test(text) || value < min || value > max) {
    const upTo = option.max === undefined ? `from ${min}` : `from ${min} to ${max}`;
    throw invalid(`${origin} is "${text}"; it must be a whole number ${upTo}${option.unit === undefined ? '' : ` (${option.unit})`}`);
  }
}

function invalid(detail: string): BitacoraError {
  return new BitacoraError('option-invalid', detail);
}

function unknown(what: string, known: readonly string[], compare = what): BitacoraError {
  const nearest = known
    .map((name) => ({ name, distance: distance(name.toLowerCase(), compare.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0];
  const hint = nearest !== undefined && nearest.distance <= 4 ? `; did you mean ${nearest.name}?` : '; `bitacora serve --help` lists them';
  return invalid(`there is no setting ${what}${hint}`);
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, change));
    }
    row = next;
  }
  return row[b.length] as number;
}
