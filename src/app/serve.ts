/** `bitacora serve`: a node from its settings until a signal ends it. */
import { codeOf } from '../core/errors.ts';
import type { Logger } from '../ports.ts';
import { startNode } from './compose.ts';
import { configOf } from './config/config.ts';
import { serveHelp } from './config/help.ts';
import { loadSettings } from './config/load.ts';
import { createLogger } from './logger.ts';
import { showFirstScreen, showRestore } from './screen.ts';

/** Resolves with the exit code. Errors with a code of the table are for `main` to show in one line. */
export async function serve(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help')) {
    process.stdout.write(serveHelp());
    return 0;
  }
  const config = configOf(loadSettings(argv, process.env));
  const logger = createLogger(config.logLevel, config.logFormat);
  takeWarnings(logger);
  let fatal: (error: Error) => void = () => undefined;
  const failed = new Promise<Error>((resolve) => {
    fatal = resolve;
  });
  const asked = signalled();
  const starting = startNode(config, logger, fatal);
  const node = await starting;
  showFirstScreen(node, config, logger);
  const hideRestore = showRestore(() => node.replica.status, logger);
  // The heart's timers do not keep the process alive by themselves.
  const alive = setInterval(() => undefined, 60_000);
  const why = await Promise.race([asked, failed]);
  clearInterval(alive);
  hideRestore();
  if (typeof why === 'string') logger.info({ event: 'node.draining', signal: why }, 'going away; a second signal ends at once');
  else logger.error({ event: 'node.fatal', code: codeOf(why), reason: why.message }, 'the node cannot go on');
  await node.stop();
  if (typeof why === 'string') return 0;
  throw why;
}

/**
 * Node's warnings become lines of our log. kafkajs asks for a timer in the past at every request, which Node 24 warns of and every Node
 * takes for "at once".
 */
function takeWarnings(logger: Logger): void {
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    const fields = { event: 'node.warning', name: warning.name, reason: warning.message };
    if (warning.name === 'TimeoutNegativeWarning') logger.debug(fields, 'a timer in the past');
    else logger.warn(fields, 'Node warns');
  });
}

/** The first SIGTERM or SIGINT; the second ends the process at once, as a shell would say it. */
function signalled(): Promise<string> {
  return new Promise((resolve) => {
    let first = true;
    const codes = { SIGTERM: 143, SIGINT: 130 } as const;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (!first) process.exit(codes[signal]);
        first = false;
        resolve(signal);
      });
    }
  });
}
