import { webcrypto } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromPublic } from '@nats-io/nkeys';
import { formatJoinToken } from '@pxmgr/contract';
import type { JoinNodeRequest } from '@pxmgr/contract/controller';
import { JoinServiceService } from '@pxmgr/contract/controller';
import { FakeClock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { createCa, issueCertificate, signCsr } from '@pxmgr/kit/pki/ca';
import { fingerprint } from '@pxmgr/kit/pki/certificate';
import { readRequest } from '@pxmgr/kit/pki/request';
import { createRpcServer, unary } from '@pxmgr/kit/rpc/server';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { readIdentity, requireIdentity, writeIdentity } from './identity.ts';
import type { JoinOptions } from './join.ts';
import { joinFleet } from './join.ts';

const SECRET = 'a-secret-of-the-token';
const UID = 'n-abcdefghijklmnop';

type Ca = Awaited<ReturnType<typeof createCa>>;
let ca: Ca;
let address: string;
let requests: JoinNodeRequest[];
let stop: () => Promise<void>;
/** Answers that get lost after the controller has booked them. */
let lost: number;

beforeAll(async () => {
  ca = await createCa({ commonName: 'test fleet' });
  const own = await issueCertificate(ca, { uri: 'pxmgr:controller', days: 1 });
  const server = createRpcServer({ logger: silentLogger(), program: 'pxmgr-controller' });
  const answer = unary(async (request: JoinNodeRequest) => {
    requests.push(request);
    if (request.secret !== SECRET) throw new PxmError('PXM_TOKEN_INVALID');
    if (lost > 0) {
      lost -= 1;
      throw new PxmError('PXM_SHUTTING_DOWN', { program: 'pxmgr-controller' });
    }
    const certificate = await signCsr(ca, request.certificateRequest, { uri: `pxmgr:agent:${UID}`, days: 30 });
    return {
      nodeUid: UID,
      certificate,
      caCertificate: ca.certificate,
      natsUrl: 'tls://192.0.2.1:4222',
      natsJwt: 'header.body.signature',
      controllerAddress: '192.0.2.1:7443',
    };
  });
  server.addService(JoinServiceService, { joinNode: answer }, { anonymous: true });
  const port = await server.listenTlsOnly('127.0.0.1:0', {
    ca: ca.certificate,
    cert: own.certificate,
    key: own.privateKey,
  });
  address = `127.0.0.1:${port}`;
  stop = () => server.stop(1000);
});
afterAll(async () => {
  await stop();
});
beforeEach(() => {
  requests = [];
  lost = 0;
});

function tokenOf(more: { fingerprint?: string; secret?: string; nodeName?: string } = {}): string {
  const expiresAt = new Date('2026-01-01T00:15:00Z');
  return formatJoinToken({
    address,
    caFingerprint: more.fingerprint ?? fingerprint(ca.certificate),
    secret: more.secret ?? SECRET,
    expiresAt,
    nodeName: more.nodeName,
  });
}

function optionsOf(token: string, more: Partial<JoinOptions> = {}): JoinOptions {
  const stateDir = mkdtempSync(join(tmpdir(), 'pxmgr-join-'));
  onTestFinished(() => {
    rmSync(stateDir, { recursive: true });
  });
  return {
    token,
    stateDir,
    nodeName: 'pve1',
    listen: '0.0.0.0:7450',
    advertise: undefined,
    force: false,
    clock: new FakeClock(),
    ...more,
  };
}

async function keyIn(request: JoinNodeRequest | undefined): Promise<string> {
  const key = await readRequest(request?.certificateRequest ?? '');
  return Buffer.from(await webcrypto.subtle.exportKey('spki', key)).toString('hex');
}

describe('joinFleet', () => {
  it('makes keys, asks once and keeps an identity that only its owner can read', async () => {
    const options = optionsOf(`${tokenOf()}\n`);
    const identity = await joinFleet(options);
    expect(identity).toMatchObject({
      nodeUid: UID,
      nodeName: 'pve1',
      agentAddress: '127.0.0.1:7450',
      natsUrl: 'tls://192.0.2.1:4222',
    });
    expect(readIdentity(options.stateDir)).toEqual({
      ...identity,
      certificate: identity.certificate,
      natsSeed: identity.natsSeed,
    });
    const folder = join(options.stateDir, 'identity');
    expect((statSync(folder).mode & 0o777).toString(8)).toBe('700');
    for (const name of await readdir(folder))
      expect((statSync(join(folder, name)).mode & 0o777).toString(8)).toBe('600');
    const [request] = requests;
    expect(request).toMatchObject({ nodeName: 'pve1', agentAddress: '127.0.0.1:7450', contractVersion: 1 });
    expect(() => fromPublic(request!.natsPublicKey)).not.toThrow();
    expect(request?.certificateRequest).not.toContain('PRIVATE');
  });

  it('asks again with the same keys when the answer got lost, and needs no answer twice', async () => {
    const options = optionsOf(tokenOf());
    lost = 1;
    await expect(joinFleet(options)).rejects.toMatchObject({ code: 'PXM_SHUTTING_DOWN' });
    const identity = await joinFleet(options);
    const [first, second] = requests;
    expect(second?.natsPublicKey).toBe(first?.natsPublicKey);
    expect(await keyIn(second)).toBe(await keyIn(first));
    expect(await readdir(options.stateDir)).toEqual(['identity']);
    expect(await joinFleet(options)).toEqual(readIdentity(options.stateDir));
    expect(requests).toHaveLength(2);
    expect(identity.privateKey).not.toBe('');
  });

  it('makes other keys for another token, and where the kept ones are damaged', async () => {
    const options = optionsOf(tokenOf());
    for (const change of [
      () => undefined,
      () => {
        writeFileSync(join(options.stateDir, 'identity.pending', 'keys.json'), 'nonsense');
      },
    ]) {
      lost = 1;
      await expect(joinFleet(options)).rejects.toThrow();
      change();
    }
    await expect(joinFleet({ ...options, token: tokenOf({ secret: 'another-secret-of-16' }) })).rejects.toThrow();
    await joinFleet(options);
    expect(new Set(requests.map(({ natsPublicKey }) => natsPublicKey)).size).toBe(3);
  });

  it('sends nothing to a server that cannot show the CA of the token', async () => {
    const stranger = await createCa({ commonName: 'somebody else' });
    const joining = joinFleet(optionsOf(tokenOf({ fingerprint: fingerprint(stranger.certificate) })));
    await expect(joining).rejects.toMatchObject({ code: 'PXM_AUTH_SERVER_UNTRUSTED' });
    expect(requests).toEqual([]);
  });

  it('refuses before it connects what cannot work', async () => {
    await expect(joinFleet(optionsOf('pxj1.nonsense'))).rejects.toMatchObject({ code: 'PXM_TOKEN_MALFORMED' });
    await expect(joinFleet(optionsOf(tokenOf({ nodeName: 'pve2' })))).rejects.toMatchObject({
      code: 'PXM_TOKEN_NODE_MISMATCH',
    });
    const late = new FakeClock(new Date('2026-01-01T00:15:00Z'));
    await expect(joinFleet(optionsOf(tokenOf(), { clock: late }))).rejects.toMatchObject({ code: 'PXM_TOKEN_EXPIRED' });
    expect(requests).toEqual([]);
  });

  it('says by code when the controller is away or says no, and leaves no identity', async () => {
    const options = optionsOf(tokenOf({ secret: 'another-secret-of-16' }));
    await expect(joinFleet(options)).rejects.toMatchObject({ code: 'PXM_TOKEN_INVALID' });
    expect(() => requireIdentity(options.stateDir)).toThrow(expect.objectContaining({ code: 'PXM_NOT_JOINED' }));
    const token = formatJoinToken({
      address: '127.0.0.1:1',
      caFingerprint: fingerprint(ca.certificate),
      secret: SECRET,
      expiresAt: new Date('2027-01-01'),
      nodeName: undefined,
    });
    await expect(joinFleet(optionsOf(token))).rejects.toMatchObject({ code: 'PXM_CONTROLLER_UNREACHABLE' });
  });

  it('replaces an identity only when forced, with new keys and the address it is told', async () => {
    const options = optionsOf(tokenOf());
    const first = await joinFleet(options);
    const other = { ...options, token: tokenOf({ secret: 'another-secret-of-16' }) };
    await expect(joinFleet(other)).rejects.toMatchObject({
      code: 'PXM_ALREADY_JOINED',
      fields: { node: 'pve1', uid: UID },
    });
    const second = await joinFleet({ ...options, force: true, advertise: '192.0.2.7:7450' });
    expect(second.agentAddress).toBe('192.0.2.7:7450');
    expect(second.natsSeed).not.toBe(first.natsSeed);
    expect(readIdentity(options.stateDir)?.natsSeed).toBe(second.natsSeed);
  });

  it.each(['membership.json', 'ca.crt', 'agent.crt', 'agent.key', 'nats.jwt', 'nats.seed'])(
    'names %s when it is damaged, and joining anew gets over it',
    async (name) => {
      const options = optionsOf(tokenOf());
      await joinFleet(options);
      const path = join(options.stateDir, 'identity', name);
      for (const text of ['', '\0'.repeat(statSync(path).size), undefined]) {
        if (text === undefined) rmSync(path);
        else writeFileSync(path, text);
        // Without its membership an agent has not joined at all.
        const code = name === 'membership.json' && text === undefined ? 'PXM_NOT_JOINED' : 'PXM_STATE_DAMAGED';
        expect(() => requireIdentity(options.stateDir)).toThrow(expect.objectContaining({ code }));
      }
      const again = await joinFleet({ ...options, force: true });
      expect(requireIdentity(options.stateDir).natsSeed).toBe(again.natsSeed);
    },
  );

  it('takes the old identity when a replacement was interrupted', async () => {
    const options = optionsOf(tokenOf());
    const identity = await joinFleet(options);
    const { renameSync } = await import('node:fs');
    renameSync(join(options.stateDir, 'identity'), join(options.stateDir, 'identity.old'));
    expect(readIdentity(options.stateDir)?.nodeUid).toBe(UID);
    await writeIdentity(options.stateDir, { ...identity, nodeName: 'pve9' });
    expect(readIdentity(options.stateDir)?.nodeName).toBe('pve9');
    expect(await readdir(options.stateDir)).toEqual(['identity']);
  });
});
