import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRunner } from '../exec/run.ts';
import { silentLogger } from '../log/logger.ts';
import { alternativeUris, identityOf, identityUri, parseIdentityUri } from '../rpc/identity.ts';
import { createCa, issueCertificate, signCsr } from './ca.ts';
import { fingerprint, isSignedBy, validityOf } from './certificate.ts';
import { createCsr } from './csr.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pxmgr-pki-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function openssl(...args: string[]): Promise<string> {
  const runner = createRunner({ path: '/usr/bin:/bin', logger: silentLogger() });
  const result = await runner.run({ file: 'openssl', args, purpose: 'test', timeoutMs: 20_000 });
  return result.stdout + result.stderr;
}

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

describe('the CA', () => {
  it('signs the public key of a request and nothing else from it; openssl agrees', async () => {
    const ca = await createCa({ commonName: 'pxmgr fleet' });
    const csr = await createCsr({ commonName: 'pxmgr:operator:mallory:admin' });
    const certificate = await signCsr(ca, csr.request, {
      uri: 'pxmgr:agent:n-aaaaaaaaaaaaaaaa',
      dns: ['pve1'],
      ips: ['10.0.0.1', '::1'],
      days: 30,
    });
    const leaf = new X509Certificate(certificate);
    expect(leaf.subject).toBe('CN=pxmgr:agent:n-aaaaaaaaaaaaaaaa');
    expect(leaf.subjectAltName).toBe(
      'URI:pxmgr:agent:n-aaaaaaaaaaaaaaaa, DNS:pve1, IP Address:10.0.0.1, IP Address:0:0:0:0:0:0:0:1',
    );
    expect(identityOf(leaf.raw)).toMatchObject({ kind: 'agent', name: 'n-aaaaaaaaaaaaaaaa' });
    const [caFile, leafFile, csrFile] = [
      await file('ca', ca.certificate),
      await file('leaf', certificate),
      await file('csr', csr.request),
    ];
    expect(await openssl('verify', '-x509_strict', '-CAfile', caFile, leafFile)).toContain('OK');
    expect(await openssl('req', '-in', csrFile, '-verify', '-noout')).toContain('OK');
    const text = await openssl('x509', '-in', leafFile, '-noout', '-fingerprint', '-sha256');
    expect(text.split('=')[1]?.trim().replaceAll(':', '').toLowerCase()).toBe(fingerprint(certificate));
  });

  it('gives validity by days, capped by the CA, and a serial of 128 bits', async () => {
    const now = new Date('2030-01-01T00:00:00Z');
    const ca = await createCa({ commonName: 'x', days: 10, now });
    const short = validityOf((await issueCertificate(ca, { uri: 'pxmgr:controller', days: 3, now })).certificate);
    expect(short.notAfter.toISOString()).toBe('2030-01-04T00:00:00.000Z');
    expect(short.serial).toMatch(/^[4-7][0-9a-f]{31}$/);
    const capped = validityOf((await issueCertificate(ca, { uri: 'pxmgr:controller', days: 300, now })).certificate);
    expect(capped.notAfter.toISOString()).toBe('2030-01-11T00:00:00.000Z');
  });

  it('tells its own leaves from those of another CA', async () => {
    const [ours, other] = await Promise.all([
      createCa({ commonName: 'same name' }),
      createCa({ commonName: 'same name' }),
    ]);
    const leaf = await issueCertificate(other, { uri: 'pxmgr:controller', days: 1 });
    expect(isSignedBy(leaf.certificate, other.certificate)).toBe(true);
    expect(isSignedBy(leaf.certificate, ours.certificate)).toBe(false);
  });

  it('refuses a request that was tampered with, is of another key type, or is no request', async () => {
    const ca = await createCa({ commonName: 'x' });
    const csr = await createCsr({ commonName: 'honest' });
    const lines = csr.request.split('\n');
    const middle = lines[3] ?? '';
    lines[3] = (middle.startsWith('A') ? 'B' : 'A') + middle.slice(1);
    const subject = { uri: 'pxmgr:agent:n-b', days: 1 };
    await expect(signCsr(ca, lines.join('\n'), subject)).rejects.toMatchObject({ code: 'PXM_INPUT_INVALID' });
    await expect(signCsr(ca, 'hello', subject)).rejects.toMatchObject({ code: 'PXM_INPUT_INVALID' });
    await openssl(
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      join(folder, 'k'),
      '-subj',
      '/CN=rsa',
      '-out',
      join(folder, 'r'),
    );
    await expect(signCsr(ca, await readFile(join(folder, 'r'), 'utf8'), subject)).rejects.toMatchObject({
      code: 'PXM_INPUT_INVALID',
    });
  });
});

describe('identities', () => {
  it.each(['pxmgr:controller', 'pxmgr:agent:n-abc', 'pxmgr:operator:anna:viewer'])('reads and prints %s', (uri) => {
    const identity = parseIdentityUri(uri);
    expect(identity === undefined ? undefined : identityUri(identity)).toBe(uri);
  });

  it.each([
    'pxmgr:controller:x',
    'pxmgr:agent',
    'pxmgr:agent:',
    'pxmgr:agent:a:admin',
    'pxmgr:operator:anna',
    'pxmgr:operator:anna:root',
    'pxmgr:operator:a b:admin',
    'spiffe:agent:x',
    'pxmgr:operator:a:admin:b',
  ])('refuses %s', (uri) => {
    expect(parseIdentityUri(uri)).toBeUndefined();
  });
});

it('reads the names of a certificate as they are, and none that hides in another', () => {
  expect(alternativeUris('URI:pxmgr:agent:n-a, DNS:pve1.test, IP Address:192.0.2.1')).toEqual(['pxmgr:agent:n-a']);
  expect(alternativeUris('DNS:"x, URI:pxmgr:controller, y", URI:a')).toEqual(['a']);
  expect(alternativeUris('DNS:"x\\", URI:pxmgr:controller, DNS:y"')).toEqual([]);
  expect(alternativeUris('URI:"a, b"')).toEqual(['a, b']);
  expect(alternativeUris('DNS:x" , URI:pxmgr:controller')).toEqual([]);
  expect(alternativeUris('')).toEqual([]);
});
