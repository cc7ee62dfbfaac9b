import { NodeServiceClient, NodeServiceService } from '@pxmgr/contract/agent';
import { FakeClock, systemClock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { createCa, issueCertificate, type KeyedCertificate } from '@pxmgr/kit/pki/ca';
import { createRpcServer, type RpcServer } from '@pxmgr/kit/rpc/server';
import type { TlsMaterial } from '@pxmgr/kit/rpc/tls';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { NodeRecord } from '../domain/node-state.ts';
import { Dialer } from './dial.ts';
import { fanOut } from './fan-out.ts';
import { type NodeRecords, Registry } from './registry.ts';

let ca: KeyedCertificate;
beforeAll(async () => {
  ca = await createCa({ commonName: 'fleet' });
});

const servers: RpcServer[] = [];
const dialers: Dialer[] = [];
afterEach(async () => {
  for (const dialer of dialers.splice(0)) dialer.close();
  await Promise.all(servers.splice(0).map(async (server) => await server.stop(0)));
});

async function tlsOf(uri: string): Promise<TlsMaterial> {
  const { certificate, privateKey } = await issueCertificate(ca, { uri, days: 2 });
  return { ca: ca.certificate, cert: certificate, key: privateKey };
}

/** An agent whose GetNode tells its uid. */
async function agent(uid: string, port = 0): Promise<string> {
  const server = createRpcServer({ logger: silentLogger(), program: 'pxmgr-agent' });
  const absent = (): Promise<never> => Promise.reject(new PxmError('PXM_GUEST_NOT_FOUND', { guest: '1', where: '' }));
  server.addService(NodeServiceService, {
    getNode: () => Promise.resolve({ nodeUid: uid, node: undefined, generation: 1n }),
    getInventory: absent,
    resyncInventory: absent,
  });
  servers.push(server);
  return `127.0.0.1:${String(await server.listen({ address: `127.0.0.1:${String(port)}`, tls: await tlsOf(`pxmgr:agent:${uid}`) }))}`;
}

function record(uid: string, name: string, address: string): NodeRecord {
  return {
    uid,
    name,
    address,
    natsPublicKey: 'U',
    certificateSerial: '01',
    certificateExpiresAt: new Date('2030-01-01'),
    agentVersion: '0',
    joinedAt: new Date(0),
    lastSeenAt: undefined,
    generation: 0n,
    revokedAt: undefined,
  };
}

const NO_RECORDS: NodeRecords = {
  list: () => [],
  put: () => undefined,
  see: () => undefined,
  revoke: () => true,
  attend: () => undefined,
  attendedUntil: () => undefined,
};

async function fleetOf(clock = new FakeClock()): Promise<{ registry: Registry; dialer: Dialer; clock: FakeClock }> {
  const registry = new Registry(NO_RECORDS, clock, silentLogger());
  const dialer = new Dialer({ registry, tls: await tlsOf('pxmgr:controller'), clock: systemClock });
  dialers.push(dialer);
  return { registry, dialer, clock };
}

const ask = async (dialer: Dialer, node: string): Promise<string> =>
  await dialer.reach(
    node,
    async (channel) => (await channel.call(channel.client(NodeServiceClient), 'getNode', {})).nodeUid,
  );

describe('Dialer', () => {
  it('reaches an agent by name and follows it to a new address', async () => {
    const { registry, dialer } = await fleetOf();
    registry.add(record('n-a', 'pve1', await agent('n-a')));
    expect(await ask(dialer, 'pve1')).toBe('n-a');
    registry.hear('n-a', { generation: 2n, address: await agent('n-a'), agentVersion: '' });
    await servers.shift()?.stop(0);
    expect(await ask(dialer, 'pve1')).toBe('n-a');
  });

  it('calls an agent that was started anew as soon as it takes orders, however often the one before it failed', async () => {
    const { registry, dialer } = await fleetOf();
    const address = await agent('n-a');
    registry.add(record('n-a', 'pve1', address));
    registry.hear('n-a', { generation: 1n, address, agentVersion: '' });
    expect(await ask(dialer, 'pve1')).toBe('n-a');
    await servers.shift()?.stop(0);
    for (let call = 0; call < 10; call += 1)
      await expect(ask(dialer, 'pve1')).rejects.toMatchObject({ code: 'PXM_NODE_UNREACHABLE' });
    await agent('n-a', Number(address.split(':')[1]));
    registry.hear('n-a', { generation: 1n, address, agentVersion: '' });
    registry.hear('n-a', { generation: 2n, address: '', agentVersion: '' });
    await expect(ask(dialer, 'pve1')).rejects.toMatchObject({ code: 'PXM_NODE_UNREACHABLE' });
    registry.hear('n-a', { generation: 2n, address, agentVersion: '' });
    expect(await ask(dialer, 'pve1')).toBe('n-a');
  });

  it('leaves calls under way alone when an agent is heard of that takes orders', async () => {
    const { registry, dialer } = await fleetOf();
    const address = await agent('n-a');
    registry.add(record('n-a', 'pve1', address));
    const asked = ask(dialer, 'pve1');
    registry.hear('n-a', { generation: 2n, address, agentVersion: '' });
    expect(await asked).toBe('n-a');
  });

  it('does not talk to another agent at the address of a node', async () => {
    const { registry, dialer } = await fleetOf();
    registry.add(record('n-a', 'pve1', await agent('n-mallory')));
    await expect(ask(dialer, 'pve1')).rejects.toMatchObject({ code: 'PXM_AUTH_SERVER_UNTRUSTED' });
  });

  it('sends nothing to a node that is down or not there', async () => {
    const { registry, dialer, clock } = await fleetOf();
    registry.add(record('n-a', 'pve1', await agent('n-a')));
    registry.hear('n-a', { generation: 1n, address: '', agentVersion: '' });
    for (let second = 0; second <= 31; second += 1) {
      registry.attend();
      await clock.advance(1000);
    }
    registry.attend();
    await expect(ask(dialer, 'pve1')).rejects.toMatchObject({
      code: 'PXM_NODE_DOWN',
      fields: { node: 'pve1', presence: 'down' },
    });
    await expect(ask(dialer, 'pve7')).rejects.toMatchObject({ code: 'PXM_NODE_NOT_FOUND' });
    registry.hear('n-a', { generation: 1n, address: '', agentVersion: '' });
    expect(await ask(dialer, 'pve1')).toBe('n-a');
  });
});

describe('fanOut', () => {
  it('gives each node its own result, in order', async () => {
    const { registry, dialer } = await fleetOf();
    registry.add(record('n-a', 'pve1', await agent('n-a')));
    registry.add(record('n-b', 'pve2', '127.0.0.1:1'));
    registry.add(record('n-c', 'pve3', await agent('n-c')));
    const results = await fanOut(registry.list(), async (node) => await ask(dialer, node.uid));
    expect(results.map((result) => (result.ok ? result.value : result.error.code))).toEqual([
      'n-a',
      'PXM_NODE_UNREACHABLE',
      'n-c',
    ]);
  });
});
