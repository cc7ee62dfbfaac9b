import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { Server, ServerCredentials } from '@grpc/grpc-js';
import { messageOf } from '../error/chain.ts';
import { PxmError } from '../error/pxm-error.ts';
import { splitAddress } from './address.ts';

/** Binds and gives the port (0 for a UNIX socket). PXM_LISTEN_FAILED when the address is taken or not ours. */
export function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (error === null) resolve(port);
      else reject(new PxmError('PXM_LISTEN_FAILED', { address, reason: reasonOf(messageOf(error)) }, { cause: error }));
    });
  });
}

/**
 * Asked before work that only one process may do: a lock file can be unlinked under the process that holds it, an
 * address cannot. PXM_LISTEN_FAILED when somebody listens there.
 */
export async function requireFree(address: string): Promise<void> {
  const { host, port } = splitAddress(address);
  const server = createServer();
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, 'listening');
  } catch (error) {
    throw new PxmError('PXM_LISTEN_FAILED', { address, reason: reasonOf(messageOf(error)) }, { cause: error });
  } finally {
    server.close();
  }
}

function reasonOf(text: string): string {
  if (text.includes('EADDRINUSE') || text.includes('in use')) return 'the address is in use';
  if (text.includes('EACCES')) return 'permission denied';
  if (text.includes('EADDRNOTAVAIL')) return 'the address is not of this machine';
  return text;
}

/** A socket file left by a crash is removed; one that answers is somebody's. The new one is 0600 from the start. */
export async function bindUnix(server: Server, path: string, credentials: ServerCredentials): Promise<void> {
  if (await answers(path))
    throw new PxmError('PXM_LISTEN_FAILED', { address: path, reason: 'another process listens there' });
  await rm(path, { force: true });
  // The mask, not chmod, keeps the moment between bind and chmod closed. It is the mask of the whole process; other
  // files made meanwhile only get fewer permissions.
  const before = process.umask(0o077);
  try {
    await bind(server, `unix:${path}`, credentials);
  } finally {
    process.umask(before);
  }
  await chmod(path, 0o600);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}
