/** What ends by itself: certificates, bus credentials, join tokens. The clock jumps, the controller goes on running. */
import { X509Certificate } from 'node:crypto';
import { connect as connectTls } from 'node:tls';
import { inspect } from 'node:util';
import { createUser } from '@nats-io/nkeys';
import { formatJoinToken, parseJoinToken } from '@pxmgr/contract';
import { FleetServiceClient } from '@pxmgr/contract/controller';
import { publicKeyHash, validityOf } from '@pxmgr/kit/pki/certificate';
import { createCsr } from '@pxmgr/kit/pki/csr';
import { createChannel } from '@pxmgr/kit/rpc/channel';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { callJoin, JumpingClock, startTestController, type TestController } from './controller.fixture.ts';

const DAY_MS = 86_400_000;

/** Starts 61 days ago: what it issues for 90 days then is due now, and still valid for whoever knows the real time. */
const clock = new JumpingClock(-61 * DAY_MS);
let test: TestController;
beforeAll(async () => {
  test = await startTestController(clock);
});
afterAll(async () => {
  await test.close();
});

/** The certificate that new connections are shown. */
async function shown(): Promise<ReturnType<typeof validityOf>> {
  return await new Promise((resolve, reject) => {
    const at = { host: '127.0.0.1', port: test.controller.joinPort, ALPNProtocols: ['h2'] };
    const socket = connectTls({ ...at, rejectUnauthorized: false });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      const { raw } = socket.getPeerCertificate();
      socket.destroy();
      resolve(validityOf(new X509Certificate(raw).toString()));
    });
  });
}

it('renews the certificate of the controller at two thirds of its life, under open connections', async () => {
  const before = await shown();
  expect(Math.round((before.notAfter.getTime() - Date.now()) / DAY_MS)).toBe(29);
  const operator = await test.operator('ann', 'viewer');
  const status = async (): Promise<unknown> =>
    await operator.call(operator.client(FleetServiceClient), 'getStatus', {});
  await status();
  clock.jumpTo(-32 * DAY_MS);
  await status();
  expect((await shown()).serial).toBe(before.serial);
  clock.jumpTo(0);
  await expect.poll(async () => (await shown()).serial, { timeout: 20_000 }).not.toBe(before.serial);
  expect(Math.round(((await shown()).notAfter.getTime() - Date.now()) / DAY_MS)).toBe(90);
  await status();
});

it('takes no expired token, and none whose text was changed', async () => {
  const token = await test.token('pve1');
  const parsed = parseJoinToken(token)!;
  const changed = (more: Partial<typeof parsed>): string => formatJoinToken({ ...parsed, ...more });
  const join = async (text: string, nodeName = 'pve1'): Promise<unknown> => await callJoin(text, { nodeName });
  const elsewhere = join(changed({ nodeName: 'pve2' }), 'pve2');
  await expect(elsewhere).rejects.toMatchObject({ code: 'PXM_TOKEN_NODE_MISMATCH', fields: { expected: 'pve1' } });
  const guessed = `${parsed.secret.slice(0, -1)}${parsed.secret.endsWith('A') ? 'B' : 'A'}`;
  await expect(join(changed({ secret: guessed }))).rejects.toMatchObject({ code: 'PXM_TOKEN_INVALID' });
  const stranger = join(changed({ caFingerprint: '0'.repeat(64) }));
  await expect(stranger).rejects.toMatchObject({ code: 'PXM_AUTH_SERVER_UNTRUSTED' });
  clock.jumpTo(16 * 60_000);
  const stretched = join(changed({ expiresAt: new Date(Date.now() + DAY_MS) }));
  await expect(stretched).rejects.toMatchObject({ code: 'PXM_TOKEN_EXPIRED' });
  clock.jumpTo(0);
  await join(token);
  await expect(join(token)).rejects.toMatchObject({ code: 'PXM_TOKEN_USED' });
  const refused = await test.audit({ identity: 'anonymous', refusedOnly: true });
  expect(refused.map(({ method, target, outcome }) => `${method} ${target} ${outcome}`).reverse()).toEqual([
    'JoinService/JoinNode pve2 PXM_TOKEN_NODE_MISMATCH',
    'JoinService/JoinNode pve1 PXM_TOKEN_INVALID',
    'JoinService/JoinNode pve1 PXM_TOKEN_EXPIRED',
    'JoinService/JoinNode pve1 PXM_TOKEN_USED',
  ]);
  expect(inspect(await test.audit(), { depth: 5 })).not.toContain(parsed.secret);
});

it('does not serve a certificate that ended while its connection stayed open', async () => {
  const agent = await test.joinedAgent('pve3');
  const address = agent.identity.controllerAddress;
  const channel = createChannel({ address, tls: agent.tls, peer: { kind: 'controller' } });
  const renew = async (): Promise<unknown> =>
    await channel.call(channel.client(FleetServiceClient), 'renewNode', { certificateRequest: '' });
  await expect(renew()).rejects.toMatchObject({ code: 'PXM_INPUT_INVALID' });
  clock.jumpTo(31 * DAY_MS);
  await expect(renew()).rejects.toMatchObject({ code: 'PXM_AUTH_EXPIRED' });
  clock.jumpTo(0);
  channel.close();
  const rows = await test.audit({ identity: `agent:${agent.uid}`, refusedOnly: true });
  expect(rows.map((row) => `${row.method} ${row.outcome}`)).toContain('FleetService/RenewNode PXM_AUTH_EXPIRED');
});

it('a join is answered again for whom its token let in, and nobody else', async () => {
  const token = await test.token();
  const { request } = await createCsr({ commonName: 'again' });
  const natsPublicKey = createUser().getPublicKey();
  const mine = { nodeName: 'again', certificateRequest: request, natsPublicKey };
  const { response } = await callJoin(token, mine);
  const again = await callJoin(token, mine);
  expect(again.response).toMatchObject({ nodeUid: response.nodeUid, controllerAddress: response.controllerAddress });
  expect(publicKeyHash(again.response.certificate)).toBe(publicKeyHash(response.certificate));
  const used = { code: 'PXM_TOKEN_USED' };
  const otherKey = (await createCsr({ commonName: 'again' })).request;
  await expect(callJoin(token, { ...mine, certificateRequest: otherKey })).rejects.toMatchObject(used);
  await expect(callJoin(token, { ...mine, nodeName: 'another' })).rejects.toMatchObject(used);
  const otherUser = { ...mine, natsPublicKey: createUser().getPublicKey() };
  await expect(callJoin(token, otherUser)).rejects.toMatchObject(used);
  await test.root.call(test.root.client(FleetServiceClient), 'revokeNode', { node: 'again' });
  await expect(callJoin(token, mine)).rejects.toMatchObject({ code: 'PXM_AUTH_REVOKED' });
});
