import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '@pxmgr/kit/fs/atomic';
import type { SkopeoSetup } from './skopeo.ts';

export interface ImageOptions {
  /** `<state_dir>/images` */
  readonly directory: string;
  /** Operator's credentials file; empty = none. */
  readonly registryAuthFile: string;
  readonly insecureRegistries: readonly string[];
  /** Operator's signature policy (containers-policy.json(5)); empty = ours, which accepts what a digest names. */
  readonly policyFile: string;
}

/** Stated instead of left to a default: skopeo without a policy file fails, and `--insecure-policy` hides the choice. */
const OPEN_POLICY = { default: [{ type: 'insecureAcceptAnything' }] };

/** Writes the files that every skopeo call names, and gives the set-up. Idempotent. */
export async function prepareSkopeo(options: ImageOptions): Promise<SkopeoSetup> {
  const scratch = join(options.directory, 'scratch');
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  const policyFile = join(options.directory, 'policy.json');
  const emptyAuth = join(options.directory, 'no-credentials.json');
  if (options.policyFile === '')
    await writeFileAtomic(policyFile, `${JSON.stringify(OPEN_POLICY, null, 2)}\n`, { mode: 0o600 });
  if (options.registryAuthFile === '') await writeFileAtomic(emptyAuth, '{"auths":{}}\n', { mode: 0o600 });
  return {
    tmpDir: scratch,
    policyFile: options.policyFile === '' ? policyFile : options.policyFile,
    authFile: options.registryAuthFile === '' ? emptyAuth : options.registryAuthFile,
    insecureRegistries: options.insecureRegistries,
  };
}
