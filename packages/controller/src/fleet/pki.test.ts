import { X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@pxmgr/kit/clock';
import { isSignedBy, validityOf } from '@pxmgr/kit/pki/certificate';
import { createCsr } from '@pxmgr/kit/pki/csr';
import { readPeerCertificate } from '@pxmgr/kit/rpc/identity';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeUidFrom } from './join.ts';
import { openPki } from './pki.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pxmgr-pki-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const identityIn = (pem: string): unknown => readPeerCertificate(new X509Certificate(pem).raw)?.identity;

describe('the CA', () => {
  it('is made once, with a private key that only its owner reads', async () => {
    const first = await openPki(join(folder, 'pki'), systemClock);
    const second = await openPki(join(folder, 'pki'), systemClock);
    expect(second.caFingerprint).toBe(first.caFingerprint);
    expect((await stat(join(folder, 'pki/ca.key'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'pki'))).mode & 0o777).toBe(0o700);
  });

  it.each(['ca.key', 'ca.crt'])('is not replaced silently when %s is gone', async (name) => {
    await openPki(folder, systemClock);
    await unlink(join(folder, name));
    await expect(openPki(folder, systemClock, false)).rejects.toMatchObject({
      code: 'PXM_STATE_DAMAGED',
      fields: { path: join(folder, name) },
    });
    expect(await readdir(folder)).toHaveLength(1);
  });

  it.each([
    ['ca.key', ''],
    ['ca.crt', ''],
    ['ca.key', '\0'.repeat(240)],
    ['ca.crt', '-----BEGIN CERTIFICATE-----\nMIIB'],
  ])('is refused with the name of the file when %s holds %j', async (name, text) => {
    await openPki(folder, systemClock);
    await writeFile(join(folder, name), text);
    await expect(openPki(folder, systemClock)).rejects.toMatchObject({ fields: { path: join(folder, name) } });
  });

  it('decides who a node is, whatever its request says', async () => {
    const pki = await openPki(folder, systemClock);
    const { request } = await createCsr({ commonName: 'pxmgr:controller' });
    const certificate = await pki.signAgent(request, 'n-aaaaaaaaaaaaaaaa', 'pve1');
    expect(isSignedBy(certificate, pki.caCertificate)).toBe(true);
    expect(identityIn(certificate)).toMatchObject({ kind: 'agent', name: 'n-aaaaaaaaaaaaaaaa' });
    const days = (validityOf(certificate).notAfter.getTime() - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(29);
    expect(days).toBeLessThan(31);
  });

  it('gives the bus a certificate that is nobody', async () => {
    const pki = await openPki(folder, systemClock);
    const { certificate } = await pki.issueBus({ names: ['pxmgr.example.org', '192.0.2.7'] });
    expect(identityIn(certificate)).toBeUndefined();
    const names = new X509Certificate(certificate).subjectAltName ?? '';
    for (const name of ['DNS:pxmgr.example.org', 'IP Address:192.0.2.7', 'DNS:localhost', 'IP Address:127.0.0.1']) {
      expect(names).toContain(name);
    }
  });
});

describe('nodeUidFrom', () => {
  it('depends on the key alone and has the form of a node uid', () => {
    const uid = nodeUidFrom('UAAAA');
    expect(uid).toMatch(/^n-[a-z2-7]{16}$/);
    expect(nodeUidFrom('UAAAA')).toBe(uid);
    expect(nodeUidFrom('UAAAB')).not.toBe(uid);
  });
});
