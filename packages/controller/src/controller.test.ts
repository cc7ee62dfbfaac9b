import { parseJoinToken } from '@pxmgr/contract';
import { NodeServiceClient } from '@pxmgr/contract/agent';
import {
  ChangeServiceClient,
  FleetServiceClient,
  InventoryServiceClient,
  JoinServiceClient,
  Presence,
} from '@pxmgr/contract/controller';
import { createCsr } from '@pxmgr/kit/pki/csr';
import { createChannel } from '@pxmgr/kit/rpc/channel';
import { connect, jwtAuthenticator } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from './bus/bus.fixture.ts';
import { callJoin, startTestController, type TestController } from './controller.fixture.ts';
import { containerDocument } from './inventory/inventory.fixture.ts';

let test: TestController;
beforeAll(async () => {
  test = await startTestController();
});
afterAll(async () => {
  await test.close();
});

const fleet = () => test.root.client(FleetServiceClient);
const inventory = () => test.root.client(InventoryServiceClient);
const changes = () => test.root.client(ChangeServiceClient);

async function ids(kind = 'container', node = ''): Promise<string[]> {
  const { objects } = await test.root.call(inventory(), 'listInventory', { kind, node, pageSize: 0, pageToken: '' });
  return objects.map((object) => `${object.nodeName} ${object.id}`);
}

describe('the main road', () => {
  it('goes from a token over a join to inventory, history, presence and watchers', async () => {
    const agent = await test.joinedAgent('pve1');
    const connection = await agent.connect();
    agent.beat(connection);
    await agent.publish(
      connection,
      agent.talk.say('container', '101', containerDocument(101, { name: 'web' }), { resync: true }),
    );
    await until('it is listed', async () => (await ids()).includes('pve1 101'));
    const { nodes } = await test.root.call(fleet(), 'listNodes', {});
    expect(nodes).toMatchObject([
      { name: 'pve1', uid: agent.uid, presence: Presence.PRESENCE_UP, containers: 1, containersRunning: 0 },
    ]);

    const seen: string[] = [];
    const watching = (async () => {
      for await (const { action, object } of test.root.callStream(inventory(), 'watchInventory', {
        kinds: ['container'],
        node: '',
        sendCurrent: true,
      })) {
        seen.push(`${action} ${object?.id ?? ''}`);
        if (seen.length === 2) return;
      }
    })();
    await until('the current state came', () => seen.length === 1);
    const cause = { upid: 'UPID:pve1:1', user: 'root@pam', operationId: '', actor: '' };
    await agent.publish(
      connection,
      agent.talk.say('container', '101', containerDocument(101, { name: 'web', status: 'running' }), { cause }),
    );
    await watching;
    expect(seen).toEqual(['current 101', 'updated 101']);

    const history = await test.root.call(changes(), 'listChanges', {
      node: '',
      kind: '',
      object: 'web',
      since: undefined,
      until: undefined,
      limit: 0,
      beforeId: 0n,
    });
    expect(history.changes).toMatchObject([
      { summary: 'status: stopped -> running', author: 'root@pam', nodeName: 'pve1', objectId: '101' },
    ]);
    const status = await test.root.call(fleet(), 'getStatus', {});
    expect(status).toMatchObject({
      natsConnected: true,
      natsSupervised: true,
      nodesUp: 1,
      objects: { container: 1 },
      containersRunning: 1,
      changes: 1n,
    });
    const found = await test.root.call(inventory(), 'getInventory', { kind: 'container', key: 'web', node: '' });
    expect(found.object?.document?.document).toMatchObject({
      $case: 'container',
      value: { name: 'web', status: 'running' },
    });
  });

  it('survives a restart: inventory, tokens, identities', async () => {
    const token = await test.token('pve9');
    await test.restart();
    expect(await ids()).toContain('pve1 101');
    expect((await callJoin(token, { nodeName: 'pve9' })).response.nodeUid).toMatch(/^n-/);
    const second = await test.joinedAgent('pve2');
    const connection = await second.connect();
    await second.publish(connection, second.talk.say('container', '201', containerDocument(201)));
    await until('both nodes are listed', async () => (await ids()).join() === 'pve1 101,pve2 201');
  });

  it('pages', async () => {
    const first = await test.root.call(inventory(), 'listInventory', {
      kind: 'container',
      node: '',
      pageSize: 1,
      pageToken: '',
    });
    const second = await test.root.call(inventory(), 'listInventory', {
      kind: 'container',
      node: '',
      pageSize: 1,
      pageToken: first.nextPageToken,
    });
    expect([first.objects[0]?.id, second.objects[0]?.id, second.nextPageToken]).toEqual(['101', '201', '']);
    await expect(
      test.root.call(inventory(), 'listInventory', { kind: 'container', node: '', pageSize: 1, pageToken: '???' }),
    ).rejects.toMatchObject({ code: 'PXM_INPUT_INVALID' });
    await expect(
      test.root.call(inventory(), 'listInventory', { kind: 'spaceship', node: '', pageSize: 1, pageToken: '' }),
    ).rejects.toMatchObject({ code: 'PXM_INPUT_INVALID' });
  });

  it('checks itself', async () => {
    const { checks } = await test.root.call(fleet(), 'runSelftest', {});
    const byCode = Object.fromEntries(checks.map((check) => [check.code, check.status]));
    expect(byCode).toMatchObject({
      CHECK_DATABASE: 'ok',
      CHECK_NATS: 'ok',
      CHECK_INGEST: 'ok',
      CHECK_CERTIFICATE: 'ok',
      CHECK_LOOPS: 'ok',
    });
    // These agents have no gRPC server: that is what the check is for.
    expect(byCode['CHECK_AGENT_CALL']).toBe('failed');
  });
});

describe('joining', () => {
  it('takes a token once', async () => {
    const token = await test.token();
    await callJoin(token, { nodeName: 'once' });
    await expect(callJoin(token, { nodeName: 'twice' })).rejects.toMatchObject({ code: 'PXM_TOKEN_USED' });
  });

  it('gives one place to many who use one token at the same time', async () => {
    const token = await test.token();
    const results = await Promise.allSettled(
      ['r1', 'r2', 'r3', 'r4'].map(async (nodeName) => await callJoin(token, { nodeName })),
    );
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
  });

  it('keeps a token that was used wrongly', async () => {
    const token = await test.token('only-me');
    await expect(callJoin(token, { nodeName: 'somebody-else' })).rejects.toMatchObject({
      code: 'PXM_TOKEN_NODE_MISMATCH',
    });
    await expect(callJoin(token, { nodeName: 'only-me', certificateRequest: 'nonsense' })).rejects.toMatchObject({
      code: 'PXM_INPUT_INVALID',
    });
    await expect(
      callJoin(token, { nodeName: 'only-me', natsPublicKey: 'UXYZ', agentAddress: 'here' }),
    ).rejects.toMatchObject({ code: 'PXM_INPUT_INVALID', fields: { count: '2' } });
    await expect(callJoin(token, { nodeName: 'only-me', contractVersion: 99 })).rejects.toMatchObject({
      code: 'PXM_CONTRACT_MISMATCH',
    });
    await expect(callJoin(token, { nodeName: 'only-me', secret: 'guessed' })).rejects.toMatchObject({
      code: 'PXM_TOKEN_INVALID',
    });
    expect((await callJoin(token, { nodeName: 'only-me' })).response.nodeUid).toMatch(/^n-[a-z2-7]{16}$/);
  });

  it('does not give a taken name to another key', async () => {
    await callJoin(await test.token(), { nodeName: 'taken' });
    await expect(callJoin(await test.token(), { nodeName: 'taken' })).rejects.toMatchObject({
      code: 'PXM_NODE_NAME_TAKEN',
    });
  });

  it('offers nothing else on the door without certificates', async () => {
    const { address } = parseJoinToken(await test.token()) ?? { address: '' };
    const ca = (await test.joinedAgent('door')).identity.caCertificate;
    const channel = createChannel({ address, tls: { ca }, peer: { kind: 'controller' } });
    await expect(channel.call(channel.client(FleetServiceClient), 'listNodes', {})).rejects.toMatchObject({
      code: 'PXM_CAPABILITY_MISSING',
    });
    channel.close();
  });
});

describe('who may do what', () => {
  it('lets roles do what their table says, and audits what was refused', async () => {
    const viewer = await test.operator('vera', 'viewer');
    expect((await viewer.call(viewer.client(FleetServiceClient), 'listNodes', {})).nodes.length).toBeGreaterThan(0);
    await expect(
      viewer.call(viewer.client(FleetServiceClient), 'createToken', { nodeName: '', ttlSeconds: 0 }),
    ).rejects.toMatchObject({ code: 'PXM_FORBIDDEN', fields: { identity: 'operator:vera', role: 'admin' } });
    const admin = await test.operator('ada', 'admin');
    expect(
      (await admin.call(admin.client(FleetServiceClient), 'createToken', { nodeName: '', ttlSeconds: 0 })).token,
    ).toMatch(/^pxj1\./);
  });

  it('gives agents no operator calls', async () => {
    const agent = await test.joinedAgent('curious');
    const channel = createChannel({
      address: agent.identity.controllerAddress,
      tls: agent.tls,
      peer: { kind: 'controller' },
    });
    await expect(channel.call(channel.client(FleetServiceClient), 'listNodes', {})).rejects.toMatchObject({
      code: 'PXM_FORBIDDEN',
    });
    await expect(channel.call(channel.client(JoinServiceClient), 'joinNode', {} as never)).rejects.toBeDefined();
    channel.close();
  });

  it('refuses a caller without a certificate', async () => {
    const ca = (await test.joinedAgent('nobody')).identity.caCertificate;
    const channel = createChannel({
      address: `127.0.0.1:${String(test.controller.grpcPort)}`,
      tls: { ca },
      peer: { kind: 'controller' },
    });
    await expect(channel.call(channel.client(NodeServiceClient), 'getNode', {})).rejects.toMatchObject({
      code: 'PXM_AUTH_CERTIFICATE_REQUIRED',
    });
    channel.close();
  });
});

describe('renewing', () => {
  it('gives a member a new certificate and new bus credentials, also after the old ones were handed out', async () => {
    const agent = await test.joinedAgent('renewed');
    const before = await test.root.call(fleet(), 'getNode', { node: 'renewed' });
    const channel = createChannel({
      address: agent.identity.controllerAddress,
      tls: agent.tls,
      peer: { kind: 'controller' },
    });
    const { request: certificateRequest, privateKey } = await createCsr({ commonName: 'renewed' });
    const renewed = await channel.call(channel.client(FleetServiceClient), 'renewNode', { certificateRequest });
    channel.close();
    const tls = { ca: renewed.caCertificate, cert: renewed.certificate, key: privateKey };
    const next = createChannel({ address: agent.identity.controllerAddress, tls, peer: { kind: 'controller' } });
    await next.call(next.client(FleetServiceClient), 'renewNode', { certificateRequest });
    next.close();
    const authenticator = jwtAuthenticator(renewed.natsJwt, agent.user.getSeed());
    const bus = await connect({ servers: renewed.natsUrl, tls: { ca: renewed.caCertificate }, authenticator });
    await bus.close();
    const after = await test.root.call(fleet(), 'getNode', { node: 'renewed' });
    expect(after.node?.uid).toBe(before.node?.uid);
    expect(after.node?.certificateExpiresAt?.getTime()).toBeGreaterThanOrEqual(
      before.node?.certificateExpiresAt?.getTime() ?? Number.POSITIVE_INFINITY,
    );
  });

  it('is not for operators, and not with a request that is none', async () => {
    await expect(test.root.call(fleet(), 'renewNode', { certificateRequest: '' })).rejects.toMatchObject({
      code: 'PXM_FORBIDDEN',
    });
    const agent = await test.joinedAgent('hasty');
    const address = agent.identity.controllerAddress;
    const channel = createChannel({ address, tls: agent.tls, peer: { kind: 'controller' } });
    const call = channel.call(channel.client(FleetServiceClient), 'renewNode', { certificateRequest: 'nonsense' });
    await expect(call).rejects.toMatchObject({ code: 'PXM_INPUT_INVALID' });
    channel.close();
  });
});

describe('revoking', () => {
  it('cuts gRPC and the bus at once, forgets the inventory, and stays after a restart', async () => {
    const agent = await test.joinedAgent('leaver');
    const connection = await agent.connect();
    await agent.publish(connection, agent.talk.say('container', '301', containerDocument(301)));
    await until('it is listed', async () => (await ids()).includes('leaver 301'));
    expect(await test.root.call(fleet(), 'revokeNode', { node: 'leaver' })).toEqual({ uid: agent.uid, name: 'leaver' });
    await connection.closed();
    expect(await ids()).not.toContain('leaver 301');
    await expect(agent.connect()).rejects.toThrow(/authorization/i);
    const channel = createChannel({
      address: agent.identity.controllerAddress,
      tls: agent.tls,
      peer: { kind: 'controller' },
    });
    await expect(channel.call(channel.client(FleetServiceClient), 'listNodes', {})).rejects.toMatchObject({
      code: 'PXM_AUTH_REVOKED',
    });
    channel.close();
    await test.restart();
    await expect(test.root.call(fleet(), 'getNode', { node: 'leaver' })).rejects.toMatchObject({
      code: 'PXM_NODE_NOT_FOUND',
    });
    expect(await ids()).not.toContain('leaver 301');
    expect((await test.joinedAgent('leaver')).uid).not.toBe(agent.uid);
  });
});
