import type { ImageSource } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { TemplateStore } from '../../image/template-store.ts';
import type { SourceFacts } from './source-facts.ts';

/** Proxmox sets nothing up inside such a guest, so any distribution will do. */
const UNMANAGED = 'unmanaged';

/**
 * The facts of a container made from an OCI image, out of the record that pulling and verifying it left: the layers
 * are not read again. PXM_IMAGE_NOT_PULLED when the archive is absent or has another size than it was written with;
 * PXM_IMAGE_REJECTED for a distribution that Proxmox does not take, unless the guest is to be unmanaged.
 */
export async function factsOfImage(
  store: TemplateStore,
  wanted: { readonly image: ImageSource; readonly osType: string },
  node: string,
): Promise<SourceFacts> {
  const { image } = wanted;
  const record = image.digest === '' ? undefined : await store.find(image.digest);
  if (record === undefined) {
    throw new PxmError('PXM_IMAGE_NOT_PULLED', { digest: image.digest === '' ? image.reference : image.digest, node });
  }
  const { findings, config, document } = record;
  if (findings.osProblem !== undefined && wanted.osType !== UNMANAGED) {
    const problems = `${findings.osProblem}; it can only become a container of os type ${UNMANAGED}`;
    throw new PxmError('PXM_IMAGE_REJECTED', { reference: image.reference, problems });
  }
  const argv = [...config.entrypoint, ...config.command];
  const startsInit = argv[0] === '/sbin/init';
  const isUnmanaged = [findings.osType, wanted.osType].includes(UNMANAGED);
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
    osTypeOption: isUnmanaged ? UNMANAGED : undefined,
    architectureOption: isUnmanaged ? (document.platform.split('/')[1] ?? 'amd64') : undefined,
    unpackedBytes: findings.unpackedBytes,
    sample: findings.sample,
    imageDigest: document.digest,
    imageReference: image.reference,
  };
}
