import { formatSize } from '@pxmgr/contract';
import type { ImageDocument, InventoryObject, TemplateDocument } from '@pxmgr/contract/common';
import { command } from '../../command.ts';
import { relativeTime } from '../../render/time.ts';
import { list } from '../../result.ts';
import { fetchInventory, staleNote } from '../fetch.ts';

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

function toRow(object: InventoryObject): Row[] {
  const document = object.document?.document;
  const node = object.nodeName;
  if (document?.$case === 'image') {
    const image = document.value;
    return [
      {
        node,
        reference: image.references.join(' '),
        digest: image.digest,
        platform: image.platform,
        sizeBytes: image.sizeBytes,
        volumeId: image.volumeId,
        pulledAt: image.pulledAt,
        source: image,
      },
    ];
  }
  if (document?.$case === 'template') {
    const template = document.value;
    return [
      {
        node,
        reference: template.volumeId,
        digest: '',
        platform: '',
        sizeBytes: template.sizeBytes,
        volumeId: template.volumeId,
        pulledAt: undefined,
        source: template,
      },
    ];
  }
  return [];
}

export const imageList = command({
  path: 'image list',
  summary: 'List the OCI images on the nodes; with --templates also the container templates',
  options: {
    node: { kind: 'text', flag: 'node', value: 'NODE', help: 'this node only', complete: 'node' },
    templates: { kind: 'flag', flag: 'templates', help: 'container templates too' },
  },
  examples: ['pxmgr image list', 'pxmgr image list --templates -o wide'],
  run: async (context, { options }) => {
    const images = await fetchInventory(context, 'image', options.node ?? '');
    const templates = options.templates
      ? await fetchInventory(context, 'template', options.node ?? '')
      : { objects: [], staleNodes: [] };
    const archives = new Set(images.objects.flatMap(toRow).map((row) => `${row.node} ${row.volumeId}`));
    const rows = [
      ...images.objects.flatMap(toRow),
      ...templates.objects.flatMap(toRow).filter((row) => !archives.has(`${row.node} ${row.volumeId}`)),
    ];
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
