import type { ImageServiceService } from '@pxmgr/contract/agent';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Runner } from '@pxmgr/kit/exec/command';
import type { Implementation } from '@pxmgr/kit/rpc/handlers';
import { type PullParts, previewPull, pullImage } from '../image/pull.ts';
import type { OperationStore } from '../operation/operation-store.ts';

export interface ImageServiceParts {
  readonly pull: PullParts;
  readonly runner: Runner;
  readonly store: OperationStore;
  /** `template_storage` of the configuration; a request may name another one. */
  readonly templateStorage: string;
  /** Upper limit for cached blobs. */
  readonly cacheBytes: number;
}

/** OCI images: resolve, pull, list; only translation. */
export function imageService(parts: ImageServiceParts): Implementation<typeof ImageServiceService> {
  const { pull, runner, store } = parts;
  return {
    resolveImage: async ({ reference, platform }, context) => {
      const resolved = await pull.resolver.resolve(reference, platform, (command) =>
        runner.run(command, { signal: context.signal }),
      );
      return { image: resolved.source, config: resolved.config };
    },
    pullImage: async ({ order, image, storage }) => {
      if (image === undefined)
        throw new PxmError('PXM_INPUT_INVALID', { count: '1', problems: 'image: it is missing' });
      const request = { image, storage: storage === '' ? parts.templateStorage : storage };
      if (order?.dryRun === true) return { operation: undefined, commands: previewPull(pull, request) };
      const operation = await store.start(
        {
          kind: 'image.pull',
          title: `pull ${image.reference}`,
          keys: [`image:${image.digest === '' ? image.reference : image.digest}`],
          order,
          params: {
            reference: image.reference,
            digest: image.digest,
            storage: request.storage,
            actor: order?.actor ?? '',
          },
        },
        async (work) => {
          await pull.cache.whilePulling(() => pullImage(pull, request, work));
          await pull.cache.trim(parts.cacheBytes);
        },
      );
      return { operation, commands: [] };
    },
    listImages: () => Promise.resolve({ images: pull.store.list() }),
  };
}
