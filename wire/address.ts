/** `host:port`, the name of a member. What stands in ZooKeeper or in a list is somebody's claim and is checked before it is dialled. */

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Host names, IPv4, and IPv6 in brackets; undefined for anything else. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]{2,45}(?:%[\w.-]{1,16})?)\]|([A-Za-z0-9_.-]{1,253})):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || !(port >= 1 && port <= 65_535) ? undefined : { host, port };
}
