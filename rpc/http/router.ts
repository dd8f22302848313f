/** Paths and methods, by Express: the one file that names it. What has no route gets 404, what has another method 405, in its path's form. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type NextFunction } from 'express';
import { BitacoraError } from '../../src/core/errors.ts';
import type { Method, Respond, Route, Tell } from './exchange.ts';

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

const hotPath = '/v1/kv/';

export function createRouter(routes: readonly Route[], respond: Respond, tellerOf: (url: string) => Tell): Listener {
  const router = express();
  // Each of these costs time or guesses about the request: the query is parsed strictly by the routes that need one.
  router.disable('x-powered-by');
  router.set('etag', false);
  router.set('query parser', false);
  router.set('case sensitive routing', true);
  router.set('strict routing', true);

  const tell = (request: IncomingMessage, response: ServerResponse, error: unknown, headers?: readonly string[]): void => {
    respond(response, tellerOf(request.url ?? '')(error, headers));
  };
  for (const { path: name, pattern, methods } of routes) {
    const path = pattern ?? name;
    if (methods.GET) router.get(path, methods.GET);
    if (methods.PUT) router.put(path, methods.PUT);
    if (methods.POST) router.post(path, methods.POST);
    if (methods.DELETE) router.delete(path, methods.DELETE);
    const allowed = Object.keys(methods).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
    router.all(path, (request, response) => {
      const headers = ['Allow', allowed.join(', ')];
      tell(request, response, new BitacoraError('method-not-allowed', `${name} does not know ${request.method}`), headers);
    });
  }
  router.use((request: IncomingMessage, response: ServerResponse) => {
    tell(request, response, new BitacoraError('no-such-path', 'There is nothing under this path'));
  });
  // Express knows an error handler by its four parameters; a rejected handler ends here too.
  router.use((error: unknown, request: IncomingMessage, response: ServerResponse, _next: NextFunction) => {
    tell(request, response, error);
  });
  return direct(routes, router, tell);
}

/**
 * Most requests are of one key, and Express, which looks at all that it knows of and gives each request another prototype, takes twice as
 * long for one as all the rest: those go to their handler at once. What the handler does not know goes the long way.
 */
function direct(routes: readonly Route[], router: Listener, tell: (...of: [...Parameters<Listener>, unknown]) => void): Listener {
  const hot = routes.find(({ pattern }) => pattern?.test(hotPath));
  return (request, response) => {
    const { method, url = '' } = request;
    const handler = url.startsWith(hotPath) ? hot?.methods[method as Method] : undefined;
    if (handler === undefined) router(request, response);
    else (async () => handler(request, response))().catch((error: unknown) => tell(request, response, error));
  };
}
