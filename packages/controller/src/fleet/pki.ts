import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { systemCode } from '@pxmgr/kit/error/to-problem';
import { writeFileAtomic } from '@pxmgr/kit/fs/atomic';
import { createCa, issueCertificate, type KeyedCertificate, signCsr } from '@pxmgr/kit/pki/ca';
import { fingerprint } from '@pxmgr/kit/pki/certificate';
import { identityUri, type Role } from '@pxmgr/kit/rpc/identity';
import { AGENT_CERTIFICATE_DAYS } from './terms.ts';

const CONTROLLER_DAYS = 90;
/** Renewed at each start of the controller; nobody's identity hangs on it. */
const BUS_DAYS = 825;
const OPERATOR_DAYS = 365;

/** Names and addresses that others reach the controller by. */
export interface Reachable {
  readonly names: readonly string[];
}

/** The fleet's own CA and what it signs. The CA key never leaves its file and this process. */
export class Pki {
  readonly #ca: KeyedCertificate;
  readonly #clock: Clock;

  constructor(ca: KeyedCertificate, clock: Clock) {
    this.#ca = ca;
    this.#clock = clock;
  }

  get caCertificate(): string {
    return this.#ca.certificate;
  }

  get caFingerprint(): string {
    return fingerprint(this.#ca.certificate);
  }

  /** Client towards agents and server for everybody. */
  async issueController(reachable: Reachable): Promise<KeyedCertificate> {
    return await issueCertificate(this.#ca, {
      uri: identityUri({ kind: 'controller', name: 'controller' }),
      commonName: 'pxmgr-controller',
      ...split(reachable),
      days: CONTROLLER_DAYS,
      now: this.#clock.now(),
    });
  }

  /** For the supervised nats-server. Its URI is no identity of ours: it can be used for nothing else. */
  async issueBus(reachable: Reachable): Promise<KeyedCertificate> {
    return await issueCertificate(this.#ca, {
      uri: 'pxmgr-nats:server',
      commonName: 'pxmgr-nats',
      ...split(reachable),
      days: BUS_DAYS,
      now: this.#clock.now(),
    });
  }

  /** Only the public key of the request is taken. Errors: PXM_INPUT_INVALID. */
  async signOperator(request: string, name: string, role: Role): Promise<string> {
    return await signCsr(this.#ca, request, {
      uri: identityUri({ kind: 'operator', name, role }),
      commonName: name,
      days: OPERATOR_DAYS,
      now: this.#clock.now(),
    });
  }

  /** Only the public key of the request is taken. Errors: PXM_INPUT_INVALID. */
  async signAgent(request: string, nodeUid: string, nodeName: string): Promise<string> {
    return await signCsr(this.#ca, request, {
      uri: identityUri({ kind: 'agent', name: nodeUid }),
      commonName: nodeName,
      days: AGENT_CERTIFICATE_DAYS,
      now: this.#clock.now(),
    });
  }
}

/**
 * Opens the CA in a folder, making it on the first start (mode 0700, keys 0600). `isFirst` false: there is a fleet, which
 * a new CA would lock out. Errors: PXM_STATE_DAMAGED.
 */
export async function openPki(folder: string, clock: Clock, isFirst = true): Promise<Pki> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const paths = { certificate: join(folder, 'ca.crt'), key: join(folder, 'ca.key') };
  const [certificate, privateKey] = await Promise.all([readOrUndefined(paths.certificate), readOrUndefined(paths.key)]);
  if (certificate !== undefined && privateKey !== undefined) {
    checkPair(paths, { certificate, privateKey });
    return new Pki({ certificate, privateKey }, clock);
  }
  if (certificate !== undefined) throw damaged(paths.key, 'it is missing beside ca.crt');
  if (!isFirst) throw damaged(paths.certificate, 'it is missing, and a new CA would lock out every agent');
  const ca = await createCa({ commonName: 'pxmgr fleet CA', now: clock.now() });
  // The key first: a crash in between leaves no certificate, and the next start makes a new pair.
  await writeFileAtomic(paths.key, ca.privateKey, { mode: 0o600 });
  await writeFileAtomic(paths.certificate, ca.certificate, { mode: 0o644 });
  return new Pki(ca, clock);
}

function checkPair(paths: { certificate: string; key: string }, { certificate, privateKey }: KeyedCertificate): void {
  const parse = <T>(path: string, read: () => T): T => {
    try {
      return read();
    } catch (error) {
      throw damaged(path, 'it does not hold what it should', error);
    }
  };
  const key = parse(paths.key, () => createPrivateKey(privateKey));
  const ca = parse(paths.certificate, () => new X509Certificate(certificate));
  if (!ca.checkPrivateKey(key)) throw damaged(paths.key, 'it is not the key of ca.crt');
}

function damaged(path: string, reason: string, cause?: unknown): PxmError {
  return new PxmError('PXM_STATE_DAMAGED', { path, reason }, { cause });
}

async function readOrUndefined(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Always reachable from the same machine. */
const LOCAL = ['localhost', '127.0.0.1', '::1'] as const;

function split(reachable: Reachable): { dns: string[]; ips: string[] } {
  const names = [...new Set([...LOCAL, ...reachable.names])];
  return { dns: names.filter((name) => isIP(name) === 0), ips: names.filter((name) => isIP(name) !== 0) };
}
