/** `/docs`: the OpenAPI document as one page of HTML, made on this node, that needs no other host and no script to be read. */
import { createHash } from 'node:crypto';
import { type ErrorKind, errorTable } from '../../../src/core/errors.ts';
import { script, style } from './docs-style.ts';
import type { JsonObject } from './openapi.ts';

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required: boolean;
  readonly description: string;
  readonly schema: JsonObject;
}
interface Described {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly description: string; readonly content: JsonObject };
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly headers: JsonObject; readonly content?: JsonObject }>
  >;
  readonly 'x-curl': string;
}
interface Listed {
  readonly method: string;
  readonly path: string;
  readonly operation: Described;
}

/** What the page may do: nothing but its own style and script. */
export const pagePolicy = `default-src 'none'; style-src '${hashOf(style)}'; script-src '${hashOf(script)}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

export function docsPage(document: JsonObject): string {
  const info = document['info'] as { title: string; version: string; description: string };
  const listed = listedIn(document);
  const groups = [...new Set(listed.map(({ operation }) => operation.tags[0] ?? ''))];
  const contents = listed.map(
    ({ method, path, operation }) => `<li><a href="#${operation.operationId}">${method} ${escaped(path)}</a></li>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(info.title)} ${escaped(info.version)}: HTTP</title>
<style>${style}</style>
</head>
<body>
<h1>${escaped(info.title)} <span class="soft">${escaped(info.version)}</span></h1>
${paragraphs(info.description)}
<p><a href="/openapi.json">OpenAPI 3.1 document</a></p>
<nav><ul>
${contents.join('\n')}
<li><a href="#errors">Errors</a></li>
</ul></nav>
${groups.map((group) => groupSection(group, listed)).join('\n')}
<h2>Shapes</h2>
${shapes(document)}
<h2 id="errors">Errors</h2>
${errorRows()}
<script>${script}</script>
</body>
</html>
`;
}

function listedIn(document: JsonObject): Listed[] {
  const paths = document['paths'] as unknown as Record<string, Record<string, Described>>;
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => method !== 'head')
      .map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}

function groupSection(group: string, listed: readonly Listed[]): string {
  const mine = listed.filter(({ operation }) => operation.tags[0] === group);
  return `<h2>${escaped(group)}</h2>\n${mine.map(section).join('\n')}`;
}

function section({ method, path, operation }: Listed): string {
  const { operationId, summary, description, parameters, requestBody, responses } = operation;
  const taken = parameters.map(({ name, in: place, required, description: what, schema }) => [
    `<code>${escaped(name)}</code>`,
    `${place}${required ? ', required' : ''}`,
    escaped(typeWords(schema)),
    inline(what),
  ]);
  const answers = Object.entries(responses);
  const given = answers
    .filter(([status]) => Number(status) < 400)
    .map(([status, { description: what, content, headers }]) => [status, `${inline(what)}${bodyWords(content)}${headerWords(headers)}`]);
  const failed = answers.filter(([status]) => Number(status) >= 400).map(([status, { description: what }]) => [status, codeLinks(what)]);
  const body = requestBody === undefined ? '' : `<h4>Body</h4><p>${inline(requestBody.description)}${bodyWords(requestBody.content)}</p>`;
  return `<h3 id="${operationId}"><span class="method">${method}</span> ${escaped(path)}</h3>
<p><strong>${escaped(summary)}.</strong> ${inline(description)}</p>
<div class="command"><pre><code>${escaped(operation['x-curl'])}</code></pre><button hidden>Copy</button></div>
${taken.length === 0 ? '' : `<h4>Parameters</h4>${table(['Name', 'In', 'What', ''], taken)}`}
${body}
<h4>Answers</h4>${table(['Status', ''], [...given, ...failed])}`;
}

/** The codes that a failure's description names, each a link to its row. */
function codeLinks(description: string): string {
  return [...description.matchAll(/`([a-z-]+)`:/g)].map((match) => `<a href="#${match[1]}"><code>${match[1]}</code></a>`).join(' ');
}

function bodyWords(content: JsonObject | undefined): string {
  const types = Object.entries(content ?? {}).map(
    ([type, body]) => `<code>${escaped(type)}</code> ${reference((body as JsonObject)['schema'])}`,
  );
  return types.length === 0 ? '' : `<br><span class="soft">Body:</span> ${types.join(', ')}`;
}

function headerWords(headers: JsonObject): string {
  const names = Object.keys(headers).map((name) => `<code>${escaped(name)}</code>`);
  return names.length === 0 ? '' : `<br><span class="soft">Headers:</span> ${names.join(' ')}`;
}

/** Links to the shapes that a schema names. */
function reference(schema: unknown): string {
  const names = [...JSON.stringify(schema ?? {}).matchAll(/#\/components\/schemas\/(\w+)/g)].map((match) => match[1] as string);
  return names.map((name) => `<a href="#shape-${name}">${name}</a>`).join(' or ');
}

function typeWords(schema: JsonObject): string {
  const { enum: words, type, minimum, maximum, examples } = schema as Record<string, unknown>;
  const example = Array.isArray(examples) ? `, as ${String(examples[0])}` : '';
  if (Array.isArray(words)) return words.join(' | ');
  const range = minimum === undefined ? '' : ` ${String(minimum)} to ${String(maximum ?? '…')}`;
  return `${String(type ?? 'text')}${range}${example}`;
}

function shapes(document: JsonObject): string {
  const schemas = (document['components'] as JsonObject)['schemas'] as JsonObject;
  return Object.entries(schemas)
    .map(
      ([name, schema]) =>
        `<details id="shape-${name}"><summary>${name}</summary><pre><code>${escaped(JSON.stringify(schema, null, 2))}</code></pre></details>`,
    )
    .join('\n');
}

/** Every code that a client may see, each with the anchor that a problem's `type` names. */
function errorRows(): string {
  const rows = Object.entries(errorTable as Record<string, ErrorKind>).map(([code, { status, title, retry }]) => [
    `<code id="${code}">${code}</code>`,
    String(status),
    escaped(title),
    { yes: 'repeat it', reads: 'reads only', no: 'no' }[retry],
  ]);
  return table(['Code', 'Status', 'What', 'Retry'], rows);
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = heads.map((each) => `<th>${each}</th>`).join('');
  const body = rows.map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join('')}</tr>`).join('\n');
  return `<div class="wide"><table><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
}

function paragraphs(text: string): string {
  return text
    .split('\n\n')
    .map((each) => `<p>${inline(each)}</p>`)
    .join('\n');
}

/** Escaped, with `code` between backticks. */
function inline(text: string): string {
  return escaped(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
