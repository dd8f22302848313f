#!/usr/bin/env node
/** The command line. Each command is loaded when it is called, so that the small ones start quickly. */
import { BitacoraError } from '../core/errors.ts';

const usage = `bitacora: a key-value store whose write-ahead log is a Kafka topic

  bitacora serve [settings]    run a node; serve --help lists the settings
  bitacora health [--url URL]  ask a node whether it is well: exit code 0 or not
  bitacora rpc get|set|del     one call over the Avro face; rpc --help says more
  bitacora export [PREFIX]     all keys as JSON lines; export --help says more
  bitacora import FILE         writes what was exported; import --help says more
  bitacora backup -o FILE      a whole store at one position; backup --help says more
  bitacora restore FILE        makes a node's store from a backup; restore --help says more
  bitacora republish           writes a store into another log, when its own is lost; republish --help says more
  bitacora move-log            everything into another log, under load; move-log --help says more
  bitacora verify              whether all nodes hold the same; verify --help says more
  bitacora resync              makes a node's state anew from the log
  bitacora topic skipped       records of the topic that a node could not understand
  bitacora version
  bitacora help

`;

async function main(argv: readonly string[]): Promise<number> {
  // Settings alone mean a node: `docker run bitacora --log memory`.
  const node = argv[0]?.startsWith('--') && argv[0] !== '--help' && argv[0] !== '--version';
  const [command, ...rest] = node ? ['serve', ...argv] : argv;
  switch (command) {
    case 'serve':
      return (await import('./serve.ts')).serve(rest);
    case 'health':
      return (await import('./health.ts')).health(rest, process.env);
    case 'rpc':
      return (await import('./rpc-command.ts')).rpc(rest, shell());
    case 'export':
      return (await import('./export-command.ts')).exportKeys(rest, shell());
    case 'import':
      return (await import('./import-command.ts')).importKeys(rest, shell());
    case 'backup':
      return (await import('./backup-command.ts')).backup(rest, shell());
    case 'restore':
      return (await import('./restore-command.ts')).restore(rest, shell());
    case 'republish':
      return (await import('./republish-command.ts')).republish(rest, shell());
    case 'move-log':
      return (await import('./move-log-command.ts')).moveLog(rest, shell());
    case 'verify':
      return (await import('./verify-command.ts')).verify(rest, shell());
    case 'resync':
      return (await import('./resync-command.ts')).resync(rest, shell());
    case 'topic':
      return (await import('./topic-command.ts')).topic(rest, shell());
    case 'version':
    case '--version':
      process.stdout.write(`${(await import('./version.ts')).version}\n`);
      return 0;
    case 'help':
    case '--help':
    case undefined:
      process.stdout.write(usage);
      return command === undefined ? 2 : 0;
    default:
      process.stderr.write(`bitacora: there is no command ${command}; \`bitacora help\` lists them\n`);
      return 2;
  }
}

function shell() {
  return { env: process.env, input: process.stdin, out: process.stdout, err: process.stderr };
}

/** What stops a node is told in one line that names the thing and the way out; a mistake of ours keeps its stack. */
function failed(error: unknown): number {
  if (error instanceof BitacoraError && error.code !== 'internal') {
    process.stderr.write(`bitacora: ${error.code}: ${error.message}\n`);
    return error.code === 'option-invalid' ? 2 : 1;
  }
  process.stderr.write(`bitacora: ${error instanceof Error ? error.stack : error}\n`);
  return 1;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => process.exit(failed(error)),
);
