/**
 * Free TCP ports of this machine for servers that are stopped and started again. They lie below the range from which the
 * kernel takes ports for outgoing connections and for servers that ask for any: while ours is down nobody gets its port
 * by chance (Linux Documentation/networking/ip-sysctl.rst, ip_local_port_range; its default begins at 32768).
 */
import { randomInt } from 'node:crypto';
import { createServer, type Server } from 'node:net';

const FIRST = 10_240;
const BEYOND = 32_768;
const TRIES = 100;

/** undefined when somebody has it. */
function hold(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

/** All are held until all are known, so none comes twice. */
export async function freePorts(count: number): Promise<number[]> {
  const held = new Map<number, Server>();
  for (let tries = 0; held.size < count; tries += 1) {
    if (tries === TRIES) throw new Error(`no ${count} free ports found in ${TRIES} tries`);
    const port = randomInt(FIRST, BEYOND);
    const server = await hold(port);
    if (server !== undefined) held.set(port, server);
  }
  await Promise.all([...held.values()].map((server) => new Promise((resolve) => server.close(resolve))));
  return [...held.keys()];
}
