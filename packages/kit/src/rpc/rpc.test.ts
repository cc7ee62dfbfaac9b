import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer, type Server as NetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ExecContainerRequest, GuestServiceClient, GuestServiceService, NodeServiceClient, NodeServiceService, OperationServiceClient, OperationServiceService } from '@pxmgr/contract/agent';
import { JoinServiceClient, JoinServiceService } from '@pxmgr/contract/controller';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PxmError } from '../error/pxm-error.ts';
import { createLogger, silentLogger } from '../log/logger.ts';
import { createCa, issueCertificate, type KeyedCertificate } from '../pki/ca.ts';
import { fingerprint } from '../pki/keys.ts';
import { type Channel, type ChannelOptions, createChannel } from './channel.ts';
import type { Implementation } from './handlers.ts';
import { fetchCaCertificate, splitAddress } from './probe.ts';
import { type CallContext, createRpcServer, type RpcServer, type RpcServerOptions } from './server.ts';

let ca: KeyedCertificate;
let foreignCa: KeyedCertificate;
let folder = '';
let server: RpcServer;
let closers: (() => Promise<void> | void)[] = [];

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

async function tlsOf(uri: string, from: KeyedCertificate = ca, now: Date = new Date()) {
  const issued = await issueCertificate(from, { uri, days: 10, now });
  return { ca: ca.certificate, cert: issued.certificate, key: issued.privateKey };
}

let seen: CallContext[] = [];
type NodeImplementation = Implementation<typeof NodeServiceService>;

function node(more: Partial<NodeImplementation> = {}): NodeImplementation {
  return {
    getNode: (_request, context) => {
      seen.push(context);
      return Promise.resolve({ nodeUid: context.identity.name, node: undefined, generation: 7n });
    },
    getInventory: () => Promise.reject(new Error('secret path /root/x')),
    resyncInventory: () => Promise.reject(new PxmError('PXM_GUEST_LOCKED', { vmid: '101', node: 'pve2', lock: 'backup' }, { cause: new Error('task 1 holds it') })),
    ...more,
  };
}

function makeServer(options: Partial<RpcServerOptions> = {}): RpcServer {
  seen = [];
  server = createRpcServer({ logger: silentLogger(), program: 'pxmgr-agent', ...options });
  closers.push(() => server.stop(0));
  return server;
}

async function listen(options: Partial<RpcServerOptions> = {}, tls?: Awaited<ReturnType<typeof tlsOf>>): Promise<string> {
  makeServer(options).addService(NodeServiceService, node());
  const port = await server.listen({ address: '127.0.0.1:0', tls: tls ?? (await tlsOf('pxmgr:agent:n-a')) });
  return `127.0.0.1:${String(port)}`;
}

function open(options: ChannelOptions): Channel {
  const channel = createChannel({ peer: { kind: 'agent' }, peerName: 'pve1', ...options });
  closers.push(() => {
    channel.close();
  });
  return channel;
}

function getNode(channel: Channel, more: { deadlineMs?: number; signal?: AbortSignal; traceId?: string } = {}) {
  return channel.call(channel.client(NodeServiceClient), 'getNode', {}, { deadlineMs: 10_000, ...more });
}

describe('mutual TLS', () => {
  it('gives the handler the identity of the certificate, deadline and trace', async () => {
    const channel = open({ address: await listen(), tls: await tlsOf('pxmgr:operator:anna:viewer') });
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    expect(await getNode(channel, { traceId })).toEqual({ nodeUid: 'anna', node: undefined, generation: 7n });
    expect(seen[0]?.identity).toMatchObject({ kind: 'operator', name: 'anna', role: 'viewer' });
    expect(seen[0]?.traceId).toBe(traceId);
    expect(seen[0]?.deadline).toBeInstanceOf(Date);
  });

  it.each([
    ['no certificate', async () => ({ ca: ca.certificate }), 'PXM_AUTH_CERTIFICATE_REQUIRED'],
    ['a certificate of another CA', () => tlsOf('pxmgr:controller', foreignCa), 'PXM_AUTH_CERTIFICATE_REQUIRED'],
    ['an expired certificate', () => tlsOf('pxmgr:controller', ca, new Date('2020-01-01')), 'PXM_AUTH_EXPIRED'],
    ['a certificate without an identity of ours', () => tlsOf('spiffe:x'), 'PXM_AUTH_CERTIFICATE_REQUIRED'],
  ])('refuses a client with %s and says why', async (_name, tls, code) => {
    const channel = open({ address: await listen(), tls: await tls() });
    await expect(getNode(channel)).rejects.toMatchObject({ code, fields: { peer: expect.stringMatching(/pve1|pxmgr-agent/) as string } });
    expect(seen).toEqual([]);
  });

  it.each([
    ['of another CA', () => tlsOf('pxmgr:agent:n-a', foreignCa), 'PXM_AUTH_SERVER_UNTRUSTED'],
    ['that has expired', () => tlsOf('pxmgr:agent:n-a', ca, new Date('2020-01-01')), 'PXM_AUTH_EXPIRED'],
    ['with another identity', () => tlsOf('pxmgr:agent:n-mallory'), 'PXM_AUTH_SERVER_UNTRUSTED'],
  ])('does not talk to a server with a certificate %s', async (_name, tls, code) => {
    const address = await listen({}, await tls());
    const channel = open({ address, tls: await tlsOf('pxmgr:controller'), peer: { kind: 'agent', name: 'n-a' } });
    await expect(getNode(channel)).rejects.toMatchObject({ code, fields: { peer: 'pve1' } });
    expect(seen).toEqual([]);
  });

  it('tells an absent server from a refusing one', async () => {
    const tls = await tlsOf('pxmgr:controller');
    const address = await listen();
    await server.stop(0);
    await expect(getNode(open({ address, tls }))).rejects.toMatchObject({ code: 'PXM_NODE_UNREACHABLE', fields: { node: 'pve1' } });
    await expect(getNode(open({ address, tls, unreachable: 'PXM_CONTROLLER_UNREACHABLE' }))).rejects.toMatchObject({ code: 'PXM_CONTROLLER_UNREACHABLE' });
    await expect(getNode(open({ address: 'no-such-host.invalid:1', tls }))).rejects.toMatchObject({ code: 'PXM_NODE_UNREACHABLE' });
  });

  it('takes over renewed certificates without a restart', async () => {
    const address = await listen({}, await tlsOf('pxmgr:agent:n-a', foreignCa));
    const tls = await tlsOf('pxmgr:controller');
    await expect(getNode(open({ address, tls }))).rejects.toMatchObject({ code: 'PXM_AUTH_SERVER_UNTRUSTED' });
    server.reloadTls(await tlsOf('pxmgr:agent:n-a'));
    await expect(getNode(open({ address, tls }))).resolves.toMatchObject({ generation: 7n });
    const stale = open({ address, tls: await tlsOf('pxmgr:controller', foreignCa) });
    await expect(getNode(stale)).rejects.toMatchObject({ code: 'PXM_AUTH_CERTIFICATE_REQUIRED' });
    stale.reloadTls(tls);
    await expect.poll(() => getNode(stale).then(() => 'ok', () => 'refused'), { timeout: 10_000 }).toBe('ok');
  });
});

describe('who may call', () => {
  it('asks authorise with the method and cuts a revoked identity, running streams included', async () => {
    const revoked = new Set<string>();
    let started: () => void = () => undefined;
    const running = new Promise<void>((resolve) => {
      started = resolve;
    });
    makeServer({
      isRevoked: (identity) => revoked.has(identity.name),
      authorise: (identity, method) => {
        if (identity.kind === 'operator') throw new PxmError('PXM_FORBIDDEN', { identity: identity.name, method, role: 'admin' });
      },
    });
    const never = () => Promise.reject(new Error('not asked'));
    server.addService(OperationServiceService, {
      getOperation: never,
      listOperations: never,
      cancelOperation: never,
      // Never looks at its signal: the cut must not depend on the handler.
      watchOperation: () => {
        started();
        return new Promise(() => undefined);
      },
    });
    server.addService(NodeServiceService, node());
    const address = `127.0.0.1:${String(await server.listen({ address: '127.0.0.1:0', tls: await tlsOf('pxmgr:agent:n-a') }))}`;
    const operator = open({ address, tls: await tlsOf('pxmgr:operator:anna:viewer') });
    await expect(getNode(operator)).rejects.toMatchObject({ code: 'PXM_FORBIDDEN', fields: { method: 'pxmgr.agent.v1.NodeService/GetNode', role: 'admin' } });
    const agent = open({ address, tls: await tlsOf('pxmgr:agent:n-b') });
    const stream = agent.callStream(agent.client(OperationServiceClient), 'watchOperation', { id: 'op-1', afterSeq: 0n });
    const first = stream.next().catch((error: unknown) => error);
    await running;
    revoked.add('n-b');
    expect(server.cutRevoked()).toBe(1);
    expect(await first).toMatchObject({ code: 'PXM_AUTH_REVOKED', fields: { identity: 'agent:n-b' } });
    await expect(getNode(agent)).rejects.toMatchObject({ code: 'PXM_AUTH_REVOKED' });
  });

  it('is root on the UNIX socket, which only its owner can open, and replaces a dead one', async () => {
    const path = join(folder, 'control.sock');
    const dead: NetServer = createServer();
    await new Promise<void>((resolve) => dead.listen(path, resolve));
    makeServer().addService(NodeServiceService, node());
    await expect(server.listenUnix(path)).rejects.toMatchObject({ code: 'PXM_LISTEN_FAILED' });
    await new Promise((resolve) => dead.close(resolve));
    makeServer().addService(NodeServiceService, node());
    await server.listenUnix(path);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await getNode(open({ address: `unix:${path}` }))).toMatchObject({ nodeUid: 'root' });
    expect(seen[0]?.identity).toEqual({ kind: 'operator', name: 'root', role: 'admin' });
  });

  it('offers only anonymous services on the join door, whose CA is proved by the token', async () => {
    const join = { joinNode: (_request: unknown, context: CallContext) => Promise.resolve({ nodeUid: context.identity.kind, certificate: '', caCertificate: '', natsUrl: '', natsJwt: '', controllerAddress: '' }) };
    makeServer().addService(NodeServiceService, node()).addService(JoinServiceService, join, { anonymous: true });
    const address = `127.0.0.1:${String(await server.listenTlsOnly('127.0.0.1:0', await tlsOf('pxmgr:controller')))}`;
    await expect(fetchCaCertificate(address, fingerprint(foreignCa.certificate))).rejects.toMatchObject({ code: 'PXM_AUTH_SERVER_UNTRUSTED' });
    const pinned = await fetchCaCertificate(address, fingerprint(ca.certificate));
    const channel = open({ address, tls: { ca: pinned }, peer: { kind: 'controller' } });
    const request = { secret: 's', nodeName: 'n', certificateRequest: '', natsPublicKey: '', agentAddress: '', agentVersion: '', contractVersion: 1 };
    expect(await channel.call(channel.client(JoinServiceClient), 'joinNode', request)).toMatchObject({ nodeUid: 'anonymous' });
    await expect(getNode(channel)).rejects.toMatchObject({ code: 'PXM_CAPABILITY_MISSING' });
  });

  it('refuses an address that is taken', async () => {
    const address = await listen();
    makeServer().addService(NodeServiceService, node());
    await expect(server.listen({ address, tls: await tlsOf('pxmgr:agent:n-a') })).rejects.toMatchObject({ code: 'PXM_LISTEN_FAILED' });
  });
});

describe('errors and limits', () => {
  it('carries code, fields, hint and causes; hides what is internal', async () => {
    const channel = open({ address: await listen(), tls: await tlsOf('pxmgr:controller') });
    const client = channel.client(NodeServiceClient);
    const locked = await channel.call(client, 'resyncInventory', { kinds: [] }).catch((error: unknown) => error);
    expect(locked).toBeInstanceOf(PxmError);
    expect(locked).toMatchObject({ code: 'PXM_GUEST_LOCKED', message: 'container 101 on pve2 is locked (backup)', fields: { vmid: '101', lock: 'backup' }, cause: { message: 'task 1 holds it' } });
    await expect(channel.call(client, 'getInventory', { kinds: [] })).rejects.toMatchObject({ code: 'PXM_INTERNAL', message: 'internal error' });
  });

  it('ends on deadline and on abort, and tells the handler', async () => {
    makeServer();
    const reasons: unknown[] = [];
    let started = 0;
    server.addService(
      NodeServiceService,
      node({
        getNode: (_request, context) =>
          new Promise((_resolve, reject) => {
            started += 1;
            context.signal.addEventListener('abort', () => {
              reasons.push(context.signal.reason);
              reject(new Error('gone'));
            });
          }),
      }),
    );
    const address = `127.0.0.1:${String(await server.listen({ address: '127.0.0.1:0', tls: await tlsOf('pxmgr:agent:n-a') }))}`;
    const channel = open({ address, tls: await tlsOf('pxmgr:controller') });
    await expect(getNode(channel, { deadlineMs: 150 })).rejects.toMatchObject({ code: 'PXM_DEADLINE_EXCEEDED', fields: { peer: 'pve1' } });
    const abort = new AbortController();
    const call = getNode(channel, { signal: abort.signal });
    await expect.poll(() => started, { timeout: 5000 }).toBe(2);
    abort.abort();
    await expect(call).rejects.toMatchObject({ code: 'PXM_CANCELLED' });
    await expect.poll(() => reasons.length, { timeout: 5000 }).toBe(2);
    await expect.poll(() => server.activeCalls, { timeout: 5000 }).toBe(0);
  });

  it('streams both ways with back-pressure and reports a failure after the messages', async () => {
    makeServer();
    const never = () => Promise.reject(new Error('not asked'));
    server.addService(GuestServiceService, {
      listGuests: never,
      getGuest: never,
      createContainer: never,
      startContainer: never,
      shutdownContainer: never,
      stopContainer: never,
      destroyContainer: never,
      execContainer: async (messages, _context, write) => {
        for await (const message of messages) {
          if (message.request?.$case !== 'stdin') continue;
          await write({ response: { $case: 'stdout', value: message.request.value } });
        }
        throw new PxmError('PXM_GUEST_NOT_RUNNING', { vmid: '1', node: 'x' });
      },
    });
    const address = `127.0.0.1:${String(await server.listen({ address: '127.0.0.1:0', tls: await tlsOf('pxmgr:agent:n-a') }))}`;
    const channel = open({ address, tls: await tlsOf('pxmgr:controller') });
    const exec = channel.callBidi(channel.client(GuestServiceClient), 'execContainer');
    const chunk = Buffer.alloc(100_000, 'x');
    const sending = (async () => {
      const message: ExecContainerRequest = { request: { $case: 'stdin', value: chunk } };
      for (let i = 0; i < 30; i += 1) await exec.write(message);
      exec.end();
    })();
    let bytes = 0;
    const failure = await (async () => {
      for await (const answer of exec.messages) if (answer.response?.$case === 'stdout') bytes += answer.response.value.length;
      return undefined;
    })().catch((error: unknown) => error);
    await sending;
    expect(bytes).toBe(3_000_000);
    expect(failure).toMatchObject({ code: 'PXM_GUEST_NOT_RUNNING' });
  });

  it('cancels the server side when the reader leaves the loop, and ends streams when the server stops', async () => {
    makeServer();
    const never = () => Promise.reject(new Error('not asked'));
    let ended = 0;
    server.addService(OperationServiceService, {
      getOperation: never,
      listOperations: never,
      cancelOperation: never,
      watchOperation: async (_request, context, write) => {
        try {
          for (;;) {
            await write({ event: undefined });
            await new Promise((resolve) => setImmediate(resolve));
            context.signal.throwIfAborted();
          }
        } finally {
          ended += 1;
        }
      },
    });
    const address = `127.0.0.1:${String(await server.listen({ address: '127.0.0.1:0', tls: await tlsOf('pxmgr:agent:n-a') }))}`;
    const channel = open({ address, tls: await tlsOf('pxmgr:controller') });
    const client = channel.client(OperationServiceClient);
    for await (const message of channel.callStream(client, 'watchOperation', { id: 'x', afterSeq: 0n })) {
      expect(message).toEqual({ event: undefined });
      break;
    }
    await expect.poll(() => ended, { timeout: 5000 }).toBe(1);
    const second = (async () => {
      let stopped = false;
      for await (const _message of channel.callStream(client, 'watchOperation', { id: 'x', afterSeq: 0n })) {
        if (!stopped) void server.stop(5000);
        stopped = true;
      }
    })();
    await expect(second).rejects.toMatchObject({ code: 'PXM_SHUTTING_DOWN' });
  });

  it('logs one line at the start and one at the end with peer and trace', async () => {
    const lines: Record<string, unknown>[] = [];
    const logger = createLogger({ service: 'test', version: '0', level: 'debug', stream: { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) } });
    const channel = open({ address: await listen({ logger }), tls: await tlsOf('pxmgr:controller') });
    await getNode(channel);
    await channel.call(channel.client(NodeServiceClient), 'resyncInventory', { kinds: [] }).catch(() => undefined);
    expect(lines.map((line) => [line['level'], line['msg'], line['rpc'], line['peer']])).toEqual([
      ['debug', 'call started', 'pxmgr.agent.v1.NodeService/GetNode', 'controller'],
      ['debug', 'call ended', 'pxmgr.agent.v1.NodeService/GetNode', 'controller'],
      ['info', 'call started', 'pxmgr.agent.v1.NodeService/ResyncInventory', 'controller'],
      ['info', 'call failed', 'pxmgr.agent.v1.NodeService/ResyncInventory', 'controller'],
    ]);
    expect(lines[3]?.['err']).toMatchObject({ code: 'PXM_GUEST_LOCKED', chain: ['task 1 holds it'] });
  });
});

describe('addresses', () => {
  it('splits host and port, IPv6 in brackets', () => {
    expect(splitAddress('[::1]:7450')).toEqual({ host: '::1', port: 7450 });
    expect(splitAddress('pve1.example:7450')).toEqual({ host: 'pve1.example', port: 7450 });
    expect(() => splitAddress('pve1')).toThrow('host:port');
  });
});
