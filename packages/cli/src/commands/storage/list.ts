import { formatSize } from '@pxmgr/contract';
import { command } from '../../command.ts';
import { paintState, type Theme } from '../../render/theme.ts';
import { list } from '../../result.ts';
import { type Found, fetchInventory, ONE_NODE_OPTION, staleNote } from '../inventory.ts';
import { themeOf } from '../page.ts';

type Row = Found<'storage'>;

function byPlace(a: Row, b: Row): number {
  return a.object.nodeName.localeCompare(b.object.nodeName) || a.document.id.localeCompare(b.document.id);
}

/** A storage can be in the configuration of the cluster and yet be no use on this node. */
function stateText({ document }: Row, theme: Theme): string {
  if (!document.enabled) return paintState(theme, 'disabled');
  return paintState(theme, document.active ? 'active' : 'inactive');
}

/** What is not known of a storage that does not answer is no zero. */
function size(bytes: bigint, { document }: Row): string {
  return document.totalBytes === 0n ? '-' : formatSize(bytes);
}

export const storageList = command({
  path: 'storage list',
  summary: 'List the storages of the nodes',
  description: 'A shared storage stands there once for each node that has it.',
  options: { node: ONE_NODE_OPTION },
  examples: ['pxmgr storage list', 'pxmgr storage list --node pve1 -o wide'],
  run: async (context, { options }) => {
    const inventory = await fetchInventory(context, 'storage', options.node);
    const theme = themeOf(context);
    return list<Row>({
      noun: 'Storage',
      rows: [...inventory.found].sort(byPlace),
      columns: [
        { head: 'NODE', value: (row) => row.object.nodeName },
        { head: 'STORAGE', value: (row) => row.document.id },
        { head: 'TYPE', value: (row) => row.document.type },
        { head: 'STATE', value: (row) => stateText(row, theme) },
        { head: 'FREE', align: 'right', value: (row) => size(row.document.availableBytes, row) },
        { head: 'SIZE', align: 'right', value: (row) => size(row.document.totalBytes, row) },
        { head: 'SHARED', value: (row) => (row.document.shared ? 'yes' : 'no') },
        { head: 'CONTENT', shrink: 1, value: (row) => row.document.content.join(' ') || '-' },
        { head: 'PLACE', wide: true, shrink: 2, value: (row) => row.document.pool || row.document.path || '-' },
      ],
      name: (row) => `${row.object.nodeName}/${row.document.id}`,
      json: (row) => ({ node: row.object.nodeName, ...row.document }),
      empty: 'no storage on any node',
      notes: staleNote(inventory),
    });
  },
});
