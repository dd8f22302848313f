/** `serve --help` and the table of docs/configuration.md, both from the option table. */
import { flagOf, keyOf, type Option, options, variablesOf } from './options.ts';

const table: readonly Option[] = options;

export function serveHelp(): string {
  const lines = table.map((option) => {
    const value =
      option.type === 'flag' ? '[true|false]' : (option.choices?.join('|') ?? option.unit ?? (option.type === 'integer' ? 'N' : '…'));
    return { left: `  ${flagOf(option)} ${value}`, right: `${option.meaning}${defaultOf(option)}` };
  });
  const width = Math.min(44, Math.max(...lines.map(({ left }) => left.length)) + 2);
  const body = lines.map(({ left, right }) => (left.length < width ? left.padEnd(width) + right : `${left}\n${' '.repeat(width)}${right}`));
  return [
    'bitacora serve: run a node',
    '',
    'Each setting NAME_OF_IT is the flag --name-of-it, the variable BITACORA_NAME_OF_IT and the key name.of.it of the file',
    'given by --config FILE (YAML) or BITACORA_CONFIG; the flag wins, then the variable, then the file.',
    `These variables also work without BITACORA_: ${table
      .filter(({ bare }) => bare)
      .map(({ name }) => name)
      .join(', ')}.`,
    '',
    ...body,
    '',
  ].join('\n');
}

function defaultOf(option: Option): string {
  return option.default === '' ? '' : ` (default ${option.default}${option.unit === undefined ? '' : ` ${option.unit}`})`;
}

/** The table of docs/configuration.md. */
export function optionsTable(): string {
  const rows = table.map((option) => {
    const variables = variablesOf(option)
      .map((name) => `\`${name}\``)
      .join(', ');
    const fallback = option.default === '' ? '' : `\`${option.default}\`${option.unit === undefined ? '' : ` ${option.unit}`}`;
    const choices = option.choices === undefined ? '' : ` One of ${option.choices.map((choice) => `\`${choice}\``).join(', ')}.`;
    const secret = option.secret ? ` Or the path of a file that holds it, in \`BITACORA_${option.name}_FILE\`.` : '';
    return `| \`${flagOf(option)}\` | ${variables} | \`${keyOf(option)}\` | ${fallback} | ${option.meaning}.${choices}${secret} |`;
  });
  return ['| Flag | Environment | Config key | Default | Meaning |', '|---|---|---|---|---|', ...rows].join('\n');
}
