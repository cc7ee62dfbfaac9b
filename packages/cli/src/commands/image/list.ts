import { formatSize } from '@pxmgr/contract';
import type { ImageDocument, TemplateDocument } from '@pxmgr/contract/common';
import { command } from '../../command.ts';
import { relativeTime } from '../../render/time.ts';
import { list } from '../../result.ts';
import { type Found, fetchInventory, ONE_NODE_OPTION, staleNote } from '../inventory.ts';

interface Row {
  readonly node: string;
  readonly reference: string;
  readonly digest: string;
  readonly platform: string;
  readonly sizeBytes: bigint;
  readonly volumeId: string;
  readonly pulledAt: Date | undefined;
  readonly source: ImageDocument | TemplateDocument;
}

function imageRow({ object, document: image }: Found<'image'>): Row {
  return {
    node: object.nodeName,
    reference: image.references.join(' '),
    digest: image.digest,
    platform: image.platform,
    sizeBytes: image.sizeBytes,
    volumeId: image.volumeId,
    pulledAt: image.pulledAt,
    source: image,
  };
}

function templateRow({ object, document: template }: Found<'template'>): Row {
  return {
    node: object.nodeName,
    reference: template.volumeId,
    digest: '',
    platform: '',
    sizeBytes: template.sizeBytes,
    volumeId: template.volumeId,
    pulledAt: undefined,
    source: template,
  };
}

export const imageList = command({
  path: 'image list',
  summary: 'List the OCI images on the nodes; with --templates also the container templates',
  options: {
    node: ONE_NODE_OPTION,
    templates: { kind: 'flag', flag: 'templates', help: 'container templates too' },
  },
  examples: ['pxmgr image list', 'pxmgr image list --templates -o wide'],
  run: async (context, { options }) => {
    const images = await fetchInventory(context, 'image', options.node);
    const pulled = images.found.map(imageRow);
    const templates = options.templates ? (await fetchInventory(context, 'template', options.node)).found : [];
    // An image's archive is a template, too: it is listed once.
    const archives = new Set(pulled.map((row) => `${row.node} ${row.volumeId}`));
    const others = templates.map(templateRow).filter((row) => !archives.has(`${row.node} ${row.volumeId}`));
    const rows = [...pulled, ...others];
    return list<Row>({
      noun: 'Image',
      rows: rows.sort((a, b) => a.reference.localeCompare(b.reference) || a.node.localeCompare(b.node)),
      columns: [
        { head: 'IMAGE', shrink: 1, value: (row) => row.reference },
        { head: 'NODE', value: (row) => row.node },
        { head: 'PLATFORM', value: (row) => row.platform || '-' },
        { head: 'SIZE', align: 'right', value: (row) => formatSize(row.sizeBytes) },
        { head: 'PULLED', value: (row) => relativeTime(row.pulledAt, context.clock.now()) },
        {
          head: 'DIGEST',
          value: (row) => (row.digest === '' ? '-' : context.format === 'wide' ? row.digest : row.digest.slice(0, 19)),
        },
        { head: 'VOLUME', wide: true, value: (row) => row.volumeId || '-' },
      ],
      name: (row) => row.digest || row.volumeId,
      json: (row) => ({ node: row.node, ...row.source }),
      empty: 'no images on any node',
      notes: staleNote(images),
    });
  },
});
