import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { AccessServiceClient, type CreateOperatorResponse } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { systemCode } from '@pxmgr/kit/error/to-problem';
import { writeFileAtomic } from '@pxmgr/kit/fs/atomic';
import { createCsr } from '@pxmgr/kit/pki/csr';
import { controllerOf } from '../../client.ts';
import { argument, command } from '../../command.ts';
import { exactTime } from '../../render/time.ts';
import { detail } from '../../result.ts';

interface Files {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export const operatorCreate = command({
  path: 'operator create',
  summary: 'Make a certificate with a role for one person',
  description:
    'Writes NAME.crt, NAME.key and ca.crt. The key is made here and goes nowhere. viewer looks; operator also creates, changes and destroys guests; admin also lets nodes and operators in and out.',
  args: [{ name: 'NAME', help: 'letters, digits, ".", "_", "@" and "-"' }],
  options: {
    role: {
      kind: 'text',
      flag: 'role',
      value: 'ROLE',
      choices: ['viewer', 'operator', 'admin'],
      help: 'viewer (default), operator or admin',
    },
    out: { kind: 'text', flag: 'out', value: 'FOLDER', help: 'where the files go (default: here)', complete: 'file' },
  },
  examples: ['pxmgr operator create ann --role operator --out ann'],
  run: async (context, input) => {
    const name = argument(input, 0);
    const role = input.options.role ?? 'viewer';
    const { request: certificateRequest, privateKey } = await createCsr({ commonName: 'operator' });
    const made = await controllerOf(context).ask(AccessServiceClient, 'createOperator', {
      name,
      role,
      certificateRequest,
    });
    const files = await writeFiles({ folder: resolve(input.options.out ?? '.'), name, privateKey }, made);
    const { operator, controllerAddress } = made;
    return detail({
      noun: 'Operator',
      name,
      lines: [
        `${name} (${role}) until ${exactTime(operator?.expiresAt)}`,
        '',
        '# ~/.config/pxmgr/cli.yaml',
        `controller: ${controllerAddress}`,
        `ca_file: ${files.ca}`,
        `cert_file: ${files.cert}`,
        `key_file: ${files.key}`,
      ],
      json: { ...operator, controllerAddress, files },
    });
  },
});

interface Place {
  readonly folder: string;
  readonly name: string;
  readonly privateKey: string;
}

/** The name has been accepted by the controller: it holds no slash. Errors: PXM_FILE_DENIED. */
async function writeFiles({ folder, name, privateKey }: Place, made: CreateOperatorResponse): Promise<Files> {
  const files = { ca: join(folder, 'ca.crt'), cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFileAtomic(files.key, privateKey, { mode: 0o600 });
    await writeFileAtomic(files.cert, made.certificate, { mode: 0o644 });
    await writeFileAtomic(files.ca, made.caCertificate, { mode: 0o644 });
    return files;
  } catch (error) {
    if (!UNWRITABLE.has(systemCode(error) ?? '')) throw error;
    throw new PxmError('PXM_FILE_DENIED', { path: folder }, { cause: error });
  }
}

const UNWRITABLE: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST']);
