import { formatImageReference, formatSize, parseImageReference } from '@pxmgr/contract';
import type { ImageConfig, ResolveImageResponse } from '@pxmgr/contract/agent';
import { GuestServiceClient } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { quoteWord } from '@pxmgr/kit/exec/command';
import { controllerOf } from '../../client.ts';
import { argument, command } from '../../command.ts';
import { renderPairs } from '../../render/table.ts';
import { detail } from '../../result.ts';
import { Problems } from '../../spec/problems.ts';

function configPairs(config: ImageConfig): (readonly [string, string])[] {
  return [
    ['entrypoint', config.entrypoint.map(quoteWord).join(' ')],
    ['command', config.command.map(quoteWord).join(' ')],
    ['user', config.user],
    ['working dir', config.workingDir],
    ['volumes', config.volumes.join(' ')],
    ['ports', config.exposedPorts.join(' ')],
    ['stop signal', config.stopSignal],
    ['created', config.created],
    ['layers', String(config.layerDigests.length)],
  ];
}

function imagePairs(image: ResolveImageResponse['image']): (readonly [string, string])[] {
  if (image === undefined) return [];
  return [
    ['image', image.reference],
    ['platform', image.platform],
    ['digest', image.digest],
    ['index digest', image.indexDigest],
    ['compressed size', formatSize(image.sizeBytes)],
  ];
}

function lines({ image, config }: ResolveImageResponse, nodeName: string): string[] {
  const env = config?.env ?? [];
  return [
    ...renderPairs([
      ...imagePairs(image),
      ['asked through', nodeName],
      ...(config === undefined ? [] : configPairs(config)),
    ]),
    ...(env.length === 0 ? [] : ['environment', ...env.map((line) => `  ${line}`)]),
  ];
}

export const imageInspect = command({
  path: 'image inspect',
  summary: 'Show what an image in a registry is: digests, size, entrypoint, volumes, ports',
  args: [{ name: 'IMAGE', help: 'reference, e.g. docker.io/library/nginx:1.27', complete: 'image' }],
  options: {
    node: { kind: 'text', flag: 'node', value: 'NODE', help: 'ask the registry from this node', complete: 'node' },
    platform: { kind: 'text', flag: 'platform', value: 'OS/ARCH', help: 'platform (default: that of the node)' },
  },
  examples: ['pxmgr image inspect docker.io/library/nginx:1.27'],
  run: async (context, input) => {
    const problems = new Problems();
    const parsed = problems.take(`image ${argument(input, 0)}`, parseImageReference(argument(input, 0)));
    problems.refuse();
    const reference = parsed === undefined ? argument(input, 0) : formatImageReference(parsed);
    const answer = await controllerOf(context).askSlow(GuestServiceClient, 'inspectImage', {
      reference,
      node: input.options.node ?? '',
      platform: input.options.platform ?? '',
    });
    if (answer.image === undefined) throw new PxmError('PXM_IMAGE_NOT_FOUND', { reference });
    return detail({
      noun: 'Image',
      name: answer.image.image?.digest ?? reference,
      lines: lines(answer.image, answer.nodeName),
      json: { node: answer.nodeName, ...answer.image },
    });
  },
});
