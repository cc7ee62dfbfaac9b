import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RenewNodeResponse } from '@pxmgr/contract/controller';
import { FleetServiceService } from '@pxmgr/contract/controller';
import { FakeClock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { createCa, issueCertificate, type KeyedCertificate, signCsr } from '@pxmgr/kit/pki/ca';
import type { Implementation } from '@pxmgr/kit/rpc/handlers';
import { createRpcServer, unary } from '@pxmgr/kit/rpc/server';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest';
import { until } from '../event/nats.fixture.ts';
import type { Identity } from './identity.ts';
import { certificateLife, readIdentity, writeIdentity } from './identity.ts';
import { Renewal } from './renewal.ts';

const UID = 'n-abcdefghijklmnop';
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

let ca: KeyedCertificate;
let address: string;
let stop: () => Promise<void>;
let callers: string[];
/** What the controller answers; the default is right. */
let answer: (request: string) => Promise<Partial<RenewNodeResponse>>;

beforeAll(async () => {
  ca = await createCa({ commonName: 'test fleet' });
  const own = await issueCertificate(ca, { uri: 'pxmgr:controller', days: 1 });
  const server = createRpcServer({ logger: silentLogger(), program: 'pxmgr-controller' });
  const renewNode = unary(async ({ certificateRequest }: { certificateRequest: string }, { identity }) => {
    callers.push(`${identity.kind}:${identity.name}`);
    const right = { caCertificate: ca.certificate, natsJwt: 'new.jwt.text', natsUrl: 'tls://192.0.2.9:4222' };
    const certificate = await signCsr(ca, certificateRequest, { uri: `pxmgr:agent:${UID}`, days: 30 });
    return { ...right, certificate, ...(await answer(certificateRequest)) };
  });
  server.addService(FleetServiceService, { renewNode } as unknown as Implementation<typeof FleetServiceService>);
  const tls = { ca: ca.certificate, cert: own.certificate, key: own.privateKey };
  address = `127.0.0.1:${await server.listen({ address: '127.0.0.1:0', tls })}`;
  stop = () => server.stop(1000);
});
afterAll(async () => {
  await stop();
});
beforeEach(() => {
  callers = [];
  answer = () => Promise.resolve({});
});

/** A member whose certificate is `ageDays` old and lives 30 days. */
async function member(ageDays: number): Promise<{ stateDir: string; identity: Identity }> {
  const stateDir = mkdtempSync(join(tmpdir(), 'pxmgr-renew-'));
  onTestFinished(() => {
    rmSync(stateDir, { recursive: true });
  });
  const now = new Date(Date.now() - ageDays * DAY_MS);
  const own = await issueCertificate(ca, { uri: `pxmgr:agent:${UID}`, days: 30, now });
  await writeIdentity(stateDir, {
    version: 1,
    nodeUid: UID,
    nodeName: 'pve1',
    natsUrl: 'tls://192.0.2.1:4222',
    controllerAddress: address,
    agentAddress: '127.0.0.1:7450',
    joinedAt: now.toISOString(),
    caCertificate: ca.certificate,
    certificate: own.certificate,
    privateKey: own.privateKey,
    natsJwt: 'old.jwt.text',
    natsSeed: 'SUAOLD',
  });
  return { stateDir, identity: readIdentity(stateDir)! };
}

function run(at: { stateDir: string; identity: Identity }): { clock: FakeClock; applied: Identity[] } {
  const clock = new FakeClock(new Date());
  const applied: Identity[] = [];
  const renewal = new Renewal({
    ...at,
    apply: (identity) => applied.push(identity),
    clock,
    logger: silentLogger(),
    random: () => 0.5,
  });
  const end = new AbortController();
  const running = renewal.run(end.signal);
  onTestFinished(async () => {
    end.abort();
    await running;
  });
  return { clock, applied };
}

it('renews at once what is due: new key, certificate and bus credentials, on disk before they are used', async () => {
  const at = await member(25);
  const { applied, clock } = run(at);
  const renewed = await until('renewed', () => applied[0]);
  expect(callers).toEqual([`agent:${UID}`]);
  expect(renewed).toMatchObject({
    nodeUid: UID,
    natsJwt: 'new.jwt.text',
    natsUrl: 'tls://192.0.2.9:4222',
    natsSeed: 'SUAOLD',
    agentAddress: '127.0.0.1:7450',
  });
  expect(renewed.privateKey).not.toBe(at.identity.privateKey);
  expect(readIdentity(at.stateDir)).toMatchObject({
    natsJwt: 'new.jwt.text',
    privateKey: renewed.privateKey.trim() + '\n',
  });
  expect(certificateLife(renewed).to.getTime()).toBeGreaterThan(Date.now() + 29 * DAY_MS);
  // The new certificate opens the same door when it is due itself.
  await clock.advance(22 * DAY_MS);
  await until('renewed again', () => applied[1]);
});

it('waits for two thirds of the life', async () => {
  const at = await member(0);
  const { applied, clock } = run(at);
  await clock.advance(19 * DAY_MS);
  expect(callers).toEqual([]);
  await clock.advance(2 * DAY_MS);
  await until('renewed', () => applied[0]);
});

it('keeps the old identity while the controller refuses or answers nonsense, and tries again', async () => {
  const at = await member(25);
  const stranger = await issueCertificate(ca, { uri: `pxmgr:agent:${UID}`, days: 30 });
  const other = await createCa({ commonName: 'somebody else' });
  const answers: ((request: string) => Promise<Partial<RenewNodeResponse>>)[] = [
    () => Promise.reject(new PxmError('PXM_SHUTTING_DOWN', { program: 'pxmgr-controller' })),
    () => Promise.resolve({ certificate: 'nonsense' }),
    () => Promise.resolve({ certificate: stranger.certificate }),
    () => Promise.resolve({ caCertificate: other.certificate }),
    () => Promise.resolve({ natsJwt: '' }),
    async (request) => ({
      certificate: await signCsr(ca, request, { uri: 'pxmgr:agent:n-ponmlkjihgfedcba', days: 30 }),
    }),
  ];
  const bad = answers.length;
  answer = (request) => (answers.shift() ?? (() => Promise.resolve({})))(request);
  const { applied, clock } = run(at);
  for (let tries = 1; tries <= bad; tries += 1) {
    await until(`try ${tries} failed`, () => (callers.length === tries && clock.waiting === 1) || undefined);
    expect(applied).toEqual([]);
    expect(readIdentity(at.stateDir)).toEqual(at.identity);
    await clock.advance(HOUR_MS);
  }
  await until('renewed', () => applied[0]);
  expect(callers).toHaveLength(bad + 1);
});
