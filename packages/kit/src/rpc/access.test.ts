import { stat } from 'node:fs/promises';
import { createServer, type Server as NetServer } from 'node:net';
import { join } from 'node:path';
import { NodeServiceService, OperationServiceClient, OperationServiceService } from '@pxmgr/contract/agent';
import { JoinServiceClient, JoinServiceService } from '@pxmgr/contract/controller';
import { describe, expect, it } from 'vitest';
import { PxmError } from '../error/pxm-error.ts';
import { fingerprint } from '../pki/certificate.ts';
import { splitAddress } from './address.ts';
import { fetchCaCertificate } from './probe.ts';
import {
  ca,
  folder,
  foreignCa,
  getNode,
  listen,
  makeServer,
  node,
  open,
  seen,
  server,
  tlsOf,
  useBench,
} from './rpc.fixture.ts';
import type { CallContext } from './server.ts';

useBench();

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
    await expect(getNode(channel)).rejects.toMatchObject({
      code,
      fields: { peer: expect.stringMatching(/pve1|pxmgr-agent/) as string },
    });
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
    await expect(getNode(open({ address, tls }))).rejects.toMatchObject({
      code: 'PXM_NODE_UNREACHABLE',
      fields: { node: 'pve1' },
    });
    await expect(getNode(open({ address, tls, unreachable: 'PXM_CONTROLLER_UNREACHABLE' }))).rejects.toMatchObject({
      code: 'PXM_CONTROLLER_UNREACHABLE',
    });
    await expect(getNode(open({ address: 'no-such-host.invalid:1', tls }))).rejects.toMatchObject({
      code: 'PXM_NODE_UNREACHABLE',
    });
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
    await expect
      .poll(
        () =>
          getNode(stale).then(
            () => 'ok',
            () => 'refused',
          ),
        { timeout: 10_000 },
      )
      .toBe('ok');
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
        if (identity.kind === 'operator')
          throw new PxmError('PXM_FORBIDDEN', { identity: identity.name, method, role: 'admin' });
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
    await expect(getNode(operator)).rejects.toMatchObject({
      code: 'PXM_FORBIDDEN',
      fields: { method: 'pxmgr.agent.v1.NodeService/GetNode', role: 'admin' },
    });
    const agent = open({ address, tls: await tlsOf('pxmgr:agent:n-b') });
    const stream = agent.callStream(agent.client(OperationServiceClient), 'watchOperation', {
      id: 'op-1',
      afterSeq: 0n,
    });
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
    const join = {
      joinNode: (_request: unknown, context: CallContext) =>
        Promise.resolve({
          nodeUid: context.identity.kind,
          certificate: '',
          caCertificate: '',
          natsUrl: '',
          natsJwt: '',
          controllerAddress: '',
        }),
    };
    makeServer().addService(NodeServiceService, node()).addService(JoinServiceService, join, { anonymous: true });
    const address = `127.0.0.1:${String(await server.listenTlsOnly('127.0.0.1:0', await tlsOf('pxmgr:controller')))}`;
    await expect(fetchCaCertificate(address, fingerprint(foreignCa.certificate))).rejects.toMatchObject({
      code: 'PXM_AUTH_SERVER_UNTRUSTED',
    });
    const pinned = await fetchCaCertificate(address, fingerprint(ca.certificate));
    const channel = open({ address, tls: { ca: pinned }, peer: { kind: 'controller' } });
    const request = {
      secret: 's',
      nodeName: 'n',
      certificateRequest: '',
      natsPublicKey: '',
      agentAddress: '',
      agentVersion: '',
      contractVersion: 1,
    };
    expect(await channel.call(channel.client(JoinServiceClient), 'joinNode', request)).toMatchObject({
      nodeUid: 'anonymous',
    });
    await expect(getNode(channel)).rejects.toMatchObject({ code: 'PXM_CAPABILITY_MISSING' });
  });

  it('refuses an address that is taken', async () => {
    const address = await listen();
    makeServer().addService(NodeServiceService, node());
    await expect(server.listen({ address, tls: await tlsOf('pxmgr:agent:n-a') })).rejects.toMatchObject({
      code: 'PXM_LISTEN_FAILED',
    });
  });
});

describe('addresses', () => {
  it('splits host and port, IPv6 in brackets', () => {
    expect(splitAddress('[::1]:7450')).toEqual({ host: '::1', port: 7450 });
    expect(splitAddress('pve1.example:7450')).toEqual({ host: 'pve1.example', port: 7450 });
    expect(() => splitAddress('pve1')).toThrow('host:port');
  });
});
