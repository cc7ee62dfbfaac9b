/**
 * join/: how this agent becomes a member of a fleet, and the files that prove it afterwards. Keys are made here and
 * never leave the machine. Nothing but `join`, main and wire uses this room.
 * This file keeps the identity: one folder, replaced as a whole, readable only by its owner.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { syncFolder, writeFileAtomic } from '@pxmgr/kit/fs/atomic';
import { registerSecret } from '@pxmgr/kit/log/redact';
import * as z from 'zod';

const Membership = z.object({
  version: z.literal(1),
  nodeUid: z.string().min(1),
  nodeName: z.string().min(1),
  natsUrl: z.string().min(1),
  controllerAddress: z.string(),
  /** host:port under which the controller reaches us. */
  agentAddress: z.string().min(1),
  joinedAt: z.string(),
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

/** The stored identity; undefined when this agent has not joined. Its secrets are registered with the log redactor. */
export function readIdentity(stateDir: string): Identity | undefined {
  const folder = folderOf(stateDir);
  // A crash between the two renames of `writeIdentity` leaves only the old folder.
  if (!existsSync(folder) && existsSync(`${folder}.old`)) renameSync(`${folder}.old`, folder);
  if (!existsSync(join(folder, 'membership.json'))) return undefined;
  const membership = Membership.parse(JSON.parse(readFileSync(join(folder, 'membership.json'), 'utf8')));
  const text = (name: keyof typeof FILES): string => readFileSync(join(folder, FILES[name]), 'utf8');
  const identity: Identity = {
    ...membership,
    caCertificate: text('caCertificate'),
    certificate: text('certificate'),
    privateKey: text('privateKey'),
    natsJwt: text('natsJwt').trim(),
    natsSeed: text('natsSeed').trim(),
  };
  registerSecrets(identity);
  return identity;
}

function registerSecrets(identity: Identity): void {
  for (const secret of [identity.privateKey, identity.natsSeed, identity.natsJwt]) registerSecret(secret.trim());
}

/** Errors: PXM_NOT_JOINED. */
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
