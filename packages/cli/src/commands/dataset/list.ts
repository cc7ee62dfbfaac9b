import { formatSize } from '@pxmgr/contract';
import { command } from '../../command.ts';
import { list } from '../../result.ts';
import { type Found, fetchInventory, ONE_NODE_OPTION, staleNote } from '../inventory.ts';

type Row = Found<'dataset'>;

function byPlace(a: Row, b: Row): number {
  return a.object.nodeName.localeCompare(b.object.nodeName) || a.document.name.localeCompare(b.document.name);
}

export const datasetList = command({
  path: 'dataset list',
  summary: 'List the ZFS datasets of the nodes',
  options: { node: ONE_NODE_OPTION },
  examples: ['pxmgr dataset list --node pve1'],
  run: async (context, { options }) => {
    const inventory = await fetchInventory(context, 'dataset', options.node);
    return list<Row>({
      noun: 'Dataset',
      rows: [...inventory.found].sort(byPlace),
      columns: [
        { head: 'NODE', value: (row) => row.object.nodeName },
        { head: 'DATASET', shrink: 1, value: (row) => row.document.name },
        { head: 'USED', align: 'right', value: (row) => formatSize(row.document.usedBytes) },
        { head: 'FREE', align: 'right', value: (row) => formatSize(row.document.availableBytes) },
        {
          head: 'QUOTA',
          align: 'right',
          value: (row) => (row.document.refquotaBytes === 0n ? '-' : formatSize(row.document.refquotaBytes)),
        },
        { head: 'MOUNTED AT', shrink: 2, value: (row) => (row.document.mounted ? row.document.mountpoint : '-') },
        { head: 'ORIGIN', wide: true, value: (row) => row.document.origin || '-' },
      ],
      name: (row) => `${row.object.nodeName}/${row.document.name}`,
      json: (row) => ({ node: row.object.nodeName, ...row.document }),
      empty: 'no ZFS dataset on any node',
      notes: staleNote(inventory),
    });
  },
});
