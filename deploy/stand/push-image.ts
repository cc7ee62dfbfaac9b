/** An image archive into the registry, with the real skopeo. */
import type { Runner } from '@pxmgr/kit/exec/command';
import type { Registry } from './registry.ts';

export interface Push {
  readonly runner: Runner;
  readonly registry: Registry;
  readonly archive: string;
  /** demo/web:1.0 */
  readonly name: string;
}

/** The full reference. */
export async function pushImage(push: Push): Promise<string> {
  const reference = `${push.registry.address}/${push.name}`;
  const args = [
    '--insecure-policy',
    'copy',
    '--quiet',
    '--dest-tls-verify=false',
    '--authfile',
    push.registry.authFile,
    '--format',
    'oci',
    `oci-archive:${push.archive}`,
    `docker://${reference}`,
  ];
  const result = await push.runner.run({ file: 'skopeo', args, purpose: 'push the image', timeoutMs: 60_000 });
  if (result.exitCode !== 0) throw new Error(`skopeo could not push ${reference}: ${result.stderr}`);
  return reference;
}
