/** For the tests of this room: servers and channels on loopback with certificates of two CAs. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NodeServiceClient, NodeServiceService } from '@pxmgr/contract/agent';
import { afterEach, beforeAll, beforeEach } from 'vitest';
import { PxmError } from '../error/pxm-error.ts';
import { silentLogger } from '../log/logger.ts';
import { createCa, issueCertificate, type KeyedCertificate } from '../pki/ca.ts';
import { type Channel, type ChannelOptions, createChannel } from './channel.ts';
import type { Implementation } from './handlers.ts';
import { type CallContext, createRpcServer, type RpcServer, type RpcServerOptions } from './server.ts';

export let ca: KeyedCertificate;
export let foreignCa: KeyedCertificate;
export let folder = '';
export let server: RpcServer;
let closers: (() => Promise<void> | void)[] = [];

/** Called at the top of a test file: a fresh folder per test, everything opened is closed again. */
export function useBench(): void {
  beforeAll(async () => {
    [ca, foreignCa] = await Promise.all([createCa({ commonName: 'fleet' }), createCa({ commonName: 'other' })]);
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pxmgr-rpc-'));
    closers = [];
  });
  afterEach(async () => {
    for (const close of closers.reverse()) await close();
    await rm(folder, { recursive: true, force: true });
  });
}

export async function tlsOf(uri: string, from: KeyedCertificate = ca, now: Date = new Date()) {
  const issued = await issueCertificate(from, { uri, days: 10, now });
  return { ca: ca.certificate, cert: issued.certificate, key: issued.privateKey };
}

export let seen: CallContext[] = [];
type NodeImplementation = Implementation<typeof NodeServiceService>;

export function node(more: Partial<NodeImplementation> = {}): NodeImplementation {
  return {
    getNode: (_request, context) => {
      seen.push(context);
      return Promise.resolve({ nodeUid: context.identity.name, node: undefined, generation: 7n });
    },
    getInventory: () => Promise.reject(new Error('secret path /root/x')),
    resyncInventory: () =>
      Promise.reject(
        new PxmError(
          'PXM_GUEST_LOCKED',
          { vmid: '101', node: 'pve2', lock: 'backup' },
          { cause: new Error('task 1 holds it') },
        ),
      ),
    ...more,
  };
}

export function makeServer(options: Partial<RpcServerOptions> = {}): RpcServer {
  seen = [];
  server = createRpcServer({ logger: silentLogger(), program: 'pxmgr-agent', ...options });
  closers.push(() => server.stop(0));
  return server;
}

export async function listen(
  options: Partial<RpcServerOptions> = {},
  tls?: Awaited<ReturnType<typeof tlsOf>>,
): Promise<string> {
  makeServer(options).addService(NodeServiceService, node());
  const port = await server.listen({ address: '127.0.0.1:0', tls: tls ?? (await tlsOf('pxmgr:agent:n-a')) });
  return `127.0.0.1:${String(port)}`;
}

export function open(options: ChannelOptions): Channel {
  const channel = createChannel({ peer: { kind: 'agent' }, peerName: 'pve1', ...options });
  closers.push(() => {
    channel.close();
  });
  return channel;
}

export function getNode(channel: Channel, more: { deadlineMs?: number; signal?: AbortSignal; traceId?: string } = {}) {
  return channel.call(channel.client(NodeServiceClient), 'getNode', {}, { deadlineMs: 10_000, ...more });
}
