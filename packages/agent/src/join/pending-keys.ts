/**
 * The keys of a join that has no answer yet. Whoever died, or lost the controller, after the token was used up gets its
 * answer by asking again with the same token and the same keys.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createUser, fromSeed } from '@nats-io/nkeys';
import { writeFileAtomic } from '@pxmgr/kit/fs/atomic';
import { registerSecret } from '@pxmgr/kit/log/redact';
import { createCsr, type SigningRequest } from '@pxmgr/kit/pki/csr';
import * as z from 'zod';

const Stored = z.object({ tokenHash: z.string(), privateKey: z.string().min(1), natsSeed: z.string().min(1) });

export interface JoinKeys extends SigningRequest {
  readonly natsSeed: string;
  readonly natsPublicKey: string;
}

/** The secret itself is kept nowhere. */
export function hashToken(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** Those of an earlier try with this token, or new ones; on disk before the controller hears of them. */
export async function keysFor(stateDir: string, token: { hash: string; commonName: string }): Promise<JoinKeys> {
  const { hash: tokenHash, commonName } = token;
  const kept = await read(stateDir, tokenHash);
  const privateKey = kept === undefined ? {} : { privateKey: kept.privateKey };
  const csr = await createCsr({ commonName, ...privateKey });
  const user = kept === undefined ? createUser() : fromSeed(new TextEncoder().encode(kept.natsSeed));
  const natsSeed = new TextDecoder().decode(user.getSeed());
  for (const secret of [csr.privateKey, natsSeed]) registerSecret(secret.trim());
  if (kept === undefined) {
    await mkdir(folderOf(stateDir), { recursive: true, mode: 0o700 });
    const text = JSON.stringify({ tokenHash, privateKey: csr.privateKey, natsSeed } satisfies z.infer<typeof Stored>);
    await writeFileAtomic(pathOf(stateDir), `${text}\n`, { mode: 0o600 });
  }
  return { ...csr, natsSeed, natsPublicKey: user.getPublicKey() };
}

/** They are in the identity now. */
export async function forgetKeys(stateDir: string): Promise<void> {
  await rm(folderOf(stateDir), { recursive: true, force: true });
}

async function read(stateDir: string, tokenHash: string): Promise<z.infer<typeof Stored> | undefined> {
  try {
    const stored = Stored.parse(JSON.parse(await readFile(pathOf(stateDir), 'utf8')));
    return stored.tokenHash === tokenHash ? stored : undefined;
  } catch {
    // None, or damaged: keys that nobody has seen yet can be made anew.
    return undefined;
  }
}

/** A folder of its own: what a killed writer leaves goes with it. */
function folderOf(stateDir: string): string {
  return join(stateDir, 'identity.pending');
}

function pathOf(stateDir: string): string {
  return join(folderOf(stateDir), 'keys.json');
}
