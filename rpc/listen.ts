/** Opens the port, or says in one line why not and what to do. */
import type { AddressInfo, Server } from 'node:net';
import { BitacoraError } from '../src/core/errors.ts';
import { portHolder } from './port-holder.ts';

/** Resolves with the address that was given. `setting` names where the port comes from. Errors: `port-taken`, `option-invalid`. */
export async function listen(server: Server, host: string, port: number, setting: string): Promise<{ host: string; port: number }> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    throw await refusal(error as NodeJS.ErrnoException, host, port, setting);
  }
  const address = server.address() as AddressInfo;
  return { host: address.address, port: address.port };
}

async function refusal(error: NodeJS.ErrnoException, host: string, port: number, setting: string): Promise<Error> {
  switch (error.code) {
    case 'EADDRINUSE': {
      const holder = await portHolder(port);
      const who = holder === undefined ? 'another process' : holder;
      return new BitacoraError('port-taken', `port ${port} is taken by ${who}; stop it or choose another ${setting}`, { cause: error });
    }
    case 'EACCES':
      return new BitacoraError('option-invalid', `port ${port} may not be opened by this user; choose an ${setting} above 1023`, {
        cause: error,
      });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new BitacoraError('option-invalid', `${host} is not an address of this machine`, { cause: error });
    default:
      return error;
  }
}
