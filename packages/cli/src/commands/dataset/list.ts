import { formatSize } from '@pxmgr/contract';
import type { DatasetDocument, InventoryObject } from '@pxmgr/contract/common';
import { command } from '../../command.ts';
import { list } from '../../result.ts';
import { fetchInventory, staleNote } from '../fetch.ts';

interface Row {
  readonly node: string;
  readonly dataset: DatasetDocument;
}

function toRow(object: InventoryObject): Row[] {
  const document = object.document?.document;
  return document?.$case === 'dataset' ? [{ node: object.nodeName, dataset: document.value }] : [];
}

export const datasetList = command({
  path: 'dataset list',
  summary: 'List the ZFS datasets of the nodes',
  options: { node: { kind: 'text', flag: 'node', value: 'NODE', help: 'this node only', complete: 'node' } },
  examples: ['pxmgr dataset list --node pve1'],
  run: async (context, { options }) => {
    const inventory = await fetchInventory(context, 'dataset', options.node ?? '');
    return list<Row>({
      noun: 'Dataset',
      rows: inventory.objects
        .flatMap(toRow)
        .sort((a, b) => a.node.localeCompare(b.node) || a.dataset.name.localeCompare(b.dataset.name)),
      columns: [
        { head: 'NODE', value: (row) => row.node },
        { head: 'DATASET', shrink: 1, value: (row) => row.dataset.name },
        { head: 'USED', align: 'right', value: (row) => formatSize(row.dataset.usedBytes) },
        { head: 'FREE', align: 'right', value: (row) => formatSize(row.dataset.availableBytes) },
        {
          head: 'QUOTA',
          align: 'right',
          value: (row) => (row.dataset.refquotaBytes === 0n ? '-' : formatSize(row.dataset.refquotaBytes)),
        },
        { head: 'MOUNTED AT', shrink: 2, value: (row) => (row.dataset.mounted ? row.dataset.mountpoint : '-') },
        { head: 'ORIGIN', wide: true, value: (row) => row.dataset.origin || '-' },
      ],
      name: (row) => `${row.node}/${row.dataset.name}`,
      json: (row) => ({ node: row.node, ...row.dataset }),
      empty: 'no ZFS dataset on any node',
      notes: staleNote(inventory),
    });
  },
});
