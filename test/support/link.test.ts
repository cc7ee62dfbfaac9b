import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Link } from './link.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function listening(): Promise<Server> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(server);
  return server;
}
async function connectedTo(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  open.push({ close: () => socket.destroy() });
  return socket;
}
const portOf = (server: Server): number => (server.address() as AddressInfo).port;

/** Keeps the process for some milliseconds at each word: what else came in that turn of the loop is looked at late. */
async function busyNeighbour(busyMs: number): Promise<Socket> {
  const server = await listening();
  server.on('connection', (socket) =>
    socket.on('data', () => {
      const end = performance.now() + busyMs;
      while (performance.now() < end);
    }),
  );
  return await connectedTo(portOf(server));
}

/** A connection through the link, and what arrives at its far end by the time that ends. */
async function connected(link: Link): Promise<{ near: Socket; arrived: Promise<string> }> {
  const server = await listening();
  open.push(link);
  const arrived = once(server, 'connection').then(async ([far]: Socket[]) => {
    const parts: Buffer[] = [];
    far?.on('data', (data: Buffer) => parts.push(data));
    if (far !== undefined) await once(far, 'close');
    return Buffer.concat(parts).toString();
  });
  return { near: await connectedTo(await link.forward(portOf(server), 'agent')), arrived };
}

describe('a slow line', () => {
  it('brings everything in the order in which it was sent, also what was under way when the sender closed', async () => {
    const link = new Link();
    link.slow({ latencyMs: 20, bytesPerSecond: 4000 });
    const neighbour = await busyNeighbour(4);
    const { near, arrived } = await connected(link);
    const sent = Array.from({ length: 200 }, (_, i) => `${i};`);
    for (const [i, word] of sent.entries()) {
      if (i % 2 === 1) neighbour.write('.');
      near.write(word);
      await new Promise((resolve) => setImmediate(resolve));
    }
    near.end();
    expect(await arrived).toBe(sent.join(''));
  });

  it('brings what is late already when the sender closes', async () => {
    const link = new Link();
    link.slow({ latencyMs: 30, bytesPerSecond: 1_000_000 });
    const neighbour = await busyNeighbour(100);
    const { near, arrived } = await connected(link);
    near.write('all of it');
    await new Promise((resolve) => setTimeout(resolve, 10));
    neighbour.write('.');
    near.end();
    expect(await arrived).toBe('all of it');
  });
});
