/** Paths and methods, by Express: the one file that names it. What has no route gets 404, what has another method 405. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type NextFunction } from 'express';
import type { Logger } from '../../src/ports.ts';
import type { Respond, Route } from './exchange.ts';
import { codedAnswer, failureAnswer } from './failures.ts';

export function createRouter(
  routes: readonly Route[],
  respond: Respond,
  logger: Logger,
): (request: IncomingMessage, response: ServerResponse) => void {
  const router = express();
  // Each of these costs time or guesses about the request: the query is parsed strictly by the routes that need one.
  router.disable('x-powered-by');
  router.set('etag', false);
  router.set('query parser', false);
  router.set('case sensitive routing', true);
  router.set('strict routing', true);

  for (const { path, methods } of routes) {
    if (methods.GET) router.get(path, methods.GET);
    if (methods.POST) router.post(path, methods.POST);
    if (methods.DELETE) router.delete(path, methods.DELETE);
    const allowed = Object.keys(methods).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
    router.all(path, (request, response) => {
      const headers = ['Allow', allowed.join(', ')];
      respond(response, codedAnswer('method-not-allowed', `${path} does not know ${request.method}`, headers));
    });
  }
  router.use((_request: IncomingMessage, response: ServerResponse) => {
    respond(response, codedAnswer('no-such-path', 'There is nothing under this path'));
  });
  // Express knows an error handler by its four parameters; a rejected handler ends here too.
  router.use((error: unknown, _request: IncomingMessage, response: ServerResponse, _next: NextFunction) => {
    respond(response, failureAnswer(error, logger));
  });
  return router;
}
