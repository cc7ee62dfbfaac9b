/**
 * join/: how this agent becomes a member of a fleet, and the files that prove it afterwards. Keys are made here and
 * never leave the machine. Nothing but `join`, main and wire uses this room.
 * This file keeps the identity: one folder, replaced as a whole, readable only by its owner.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { syncFolder, writeFileAtomic } from '@pxmgr/kit/fs/atomic';
import { registerSecret } from '@pxmgr/kit/log/redact';
import * as z from 'zod';
import { isAbsent } from '../host/paths.ts';

const Membership = z.object({
  version: z.literal(1),
  nodeUid: z.string().min(1),
  nodeName: z.string().min(1),
  natsUrl: z.string().min(1),
  controllerAddress: z.string(),
  /** host:port under which the controller reaches us. */
  agentAddress: z.string().min(1),
  joinedAt: z.string(),
  /** Of the token that it came of. */
  tokenHash: z.string().optional(),
});
export type Membership = z.infer<typeof Membership>;

export interface Identity extends Membership {
  /** PEM texts. */
  readonly caCertificate: string;
  readonly certificate: string;
  readonly privateKey: string;
  readonly natsJwt: string;
  /** nkey seed, "SU...". */
  readonly natsSeed: string;
}

const FILES = {
  caCertificate: 'ca.crt',
  certificate: 'agent.crt',
  privateKey: 'agent.key',
  natsJwt: 'nats.jwt',
  natsSeed: 'nats.seed',
} as const;

function folderOf(stateDir: string): string {
  return join(stateDir, 'identity');
}

/** What a file holds, checked. PXM_STATE_DAMAGED: a file that was emptied or zeroed must not look like a strange peer. */
function whole<T>(path: string, read: (text: string) => T): T {
  try {
    return read(readFileSync(path, 'utf8'));
  } catch (error) {
    const reason = isAbsent(error) ? 'it is missing' : 'it does not hold what it should';
    throw new PxmError('PXM_STATE_DAMAGED', { path, reason }, { cause: error });
  }
}

function certificate(text: string): string {
  new X509Certificate(text);
  return text;
}

function privateKey(text: string): string {
  createPrivateKey(text);
  return text;
}

function line(text: string): string {
  const word = text.trim();
  if (!/^[\w.-]+$/.test(word)) throw new Error('one line of letters is expected');
  return word;
}

/**
 * The stored identity; undefined when this agent has not joined. Its secrets are registered with the log redactor.
 * PXM_STATE_DAMAGED.
 */
export function readIdentity(stateDir: string): Identity | undefined {
  const folder = folderOf(stateDir);
  bringBack(folder);
  if (!existsSync(join(folder, 'membership.json'))) return undefined;
  const identity = {
    ...whole(join(folder, 'membership.json'), (text) => Membership.parse(JSON.parse(text))),
    caCertificate: whole(join(folder, FILES.caCertificate), certificate),
    certificate: whole(join(folder, FILES.certificate), certificate),
    privateKey: whole(join(folder, FILES.privateKey), privateKey),
    natsJwt: whole(join(folder, FILES.natsJwt), line),
    natsSeed: whole(join(folder, FILES.natsSeed), line),
  };
  registerSecrets(identity);
  return identity;
}

/** A crash, or a failure, between the two renames of `writeIdentity` leaves only the old folder. */
function bringBack(folder: string): void {
  if (!existsSync(folder) && existsSync(`${folder}.old`)) renameSync(`${folder}.old`, folder);
}

function registerSecrets(identity: Identity): void {
  for (const secret of [identity.privateKey, identity.natsSeed, identity.natsJwt]) registerSecret(secret.trim());
}

/** Errors: PXM_NOT_JOINED, PXM_STATE_DAMAGED. */
export function requireIdentity(stateDir: string): Identity {
  const identity = readIdentity(stateDir);
  if (identity === undefined) throw new PxmError('PXM_NOT_JOINED');
  return identity;
}

/** Replaces the identity as a whole: new folder beside it, then two renames. Files are 0600, the folder 0700. Its secrets are registered. */
export async function writeIdentity(stateDir: string, identity: Identity): Promise<void> {
  registerSecrets(identity);
  const folder = folderOf(stateDir);
  const fresh = `${folder}.new`;
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  bringBack(folder);
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { mode: 0o700 });
  for (const [name, file] of Object.entries(FILES)) {
    await writeFileAtomic(join(fresh, file), `${identity[name as keyof typeof FILES].trim()}\n`, { mode: 0o600 });
  }
  const membership = Membership.parse(identity);
  await writeFileAtomic(join(fresh, 'membership.json'), `${JSON.stringify(membership, null, 2)}\n`, { mode: 0o600 });
  rmSync(`${folder}.old`, { recursive: true, force: true });
  if (existsSync(folder)) renameSync(folder, `${folder}.old`);
  renameSync(fresh, folder);
  rmSync(`${folder}.old`, { recursive: true, force: true });
  await syncFolder(stateDir);
}

/** When the certificate begins and ends; after that neither the controller nor this agent can speak to the other. */
export function certificateLife(identity: Identity): { readonly from: Date; readonly to: Date } {
  const certificate = new X509Certificate(identity.certificate);
  return { from: new Date(certificate.validFrom), to: new Date(certificate.validTo) };
}
