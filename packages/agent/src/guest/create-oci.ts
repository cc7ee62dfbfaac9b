import type { ImageSource } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { TemplateStore } from '../image/template-store.ts';
import type { SourceFacts } from './source-facts.ts';

/**
 * The facts of a container made from an OCI image, out of the record that pulling and verifying it left: the layers
 * are not read again. PXM_IMAGE_NOT_PULLED when the archive is absent or has another size than it was written with.
 */
export async function factsOfImage(store: TemplateStore, image: ImageSource, node: string): Promise<SourceFacts> {
  const record = image.digest === '' ? undefined : await store.find(image.digest);
  if (record === undefined) {
    throw new PxmError('PXM_IMAGE_NOT_PULLED', { digest: image.digest === '' ? image.reference : image.digest, node });
  }
  const { findings, config, document } = record;
  const argv = [...config.entrypoint, ...config.command];
  const startsInit = argv[0] === '/sbin/init';
  const isUnmanaged = findings.osType === 'unmanaged';
  return {
    kind: 'image',
    template: document.volumeId,
    accounts: {
      groups: findings.groups === undefined ? undefined : new Map(Object.entries(findings.groups)),
      uid: findings.uid,
      gid: findings.gid,
    },
    home: findings.home,
    volumes: findings.volumes,
    argv: startsInit ? [] : argv,
    hasShell: findings.hasShell,
    expectedOsType: findings.osType,
    // Without a distribution Proxmox guesses the architecture from /bin/sh and falls back to amd64.
    osTypeOption: isUnmanaged ? 'unmanaged' : undefined,
    architectureOption: isUnmanaged ? (document.platform.split('/')[1] ?? 'amd64') : undefined,
    unpackedBytes: findings.unpackedBytes,
    sample: findings.sample,
    imageDigest: document.digest,
    imageReference: image.reference,
  };
}
