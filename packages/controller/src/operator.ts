import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { systemClock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { systemCode } from '@pxmgr/kit/error/to-problem';
import { writeFileAtomic } from '@pxmgr/kit/fs/atomic';
import { validityOf } from '@pxmgr/kit/pki/keys';
import type { Role } from '@pxmgr/kit/rpc/identity';
import { splitAddress } from '@pxmgr/kit/rpc/probe';
import type { Config } from './config.ts';
import { openPki } from './fleet/pki.ts';
import { pkiFolder, reachableNames } from './wire-state.ts';

export interface NewOperator {
  readonly name: string;
  readonly role: Role;
  readonly folder: string;
}

/** Writes certificate, key and CA for one person and tells how to use them. Errors: PXM_FILE_DENIED. */
export async function createOperator(config: Config, operator: NewOperator): Promise<string> {
  const folder = resolve(operator.folder);
  const files = {
    ca: join(folder, 'ca.crt'),
    cert: join(folder, `${operator.name}.crt`),
    key: join(folder, `${operator.name}.key`),
  };
  try {
    const pki = await openPki(pkiFolder(config), systemClock);
    const issued = await pki.issueOperator(operator.name, operator.role);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFileAtomic(files.key, issued.privateKey, { mode: 0o600 });
    await writeFileAtomic(files.cert, issued.certificate, { mode: 0o644 });
    await writeFileAtomic(files.ca, pki.caCertificate, { mode: 0o644 });
    return describe(config, operator, { files, until: validityOf(issued.certificate).notAfter });
  } catch (error) {
    if (systemCode(error) === 'EACCES' || systemCode(error) === 'EPERM')
      throw new PxmError('PXM_FILE_DENIED', { path: pathOf(error) ?? folder }, { cause: error });
    throw error;
  }
}

function describe(
  config: Config,
  operator: NewOperator,
  made: { files: { ca: string; cert: string; key: string }; until: Date },
): string {
  const address = `${reachableNames(config)[0] ?? 'localhost'}:${String(splitAddress(config.listen).port)}`;
  return `${operator.name} (${operator.role}) until ${made.until.toISOString().slice(0, 10)}

# ~/.config/pxmgr/cli.yaml
controller: ${address}
ca_file: ${made.files.ca}
cert_file: ${made.files.cert}
key_file: ${made.files.key}
`;
}

function pathOf(error: unknown): string | undefined {
  return error instanceof Error && 'path' in error && typeof error.path === 'string' ? error.path : undefined;
}
