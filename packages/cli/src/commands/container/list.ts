import { formatSize } from '@pxmgr/contract';
import type { ContainerDocument, InventoryObject } from '@pxmgr/contract/common';
import { command } from '../../command.ts';
import { paintState } from '../../render/theme.ts';
import { relativeTime } from '../../render/time.ts';
import { list } from '../../result.ts';
import { fetchInventory, staleNote } from '../fetch.ts';
import { themeOf } from '../page.ts';

interface Row {
  readonly object: InventoryObject;
  readonly container: ContainerDocument;
}

function toRow(object: InventoryObject): Row[] {
  const document = object.document?.document;
  return document?.$case === 'container' ? [{ object, container: document.value }] : [];
}

export const containerList = command({
  path: 'container list',
  summary: 'List the containers of the fleet',
  options: {
    node: { kind: 'text', flag: 'node', value: 'NODE', help: 'this node only', complete: 'node' },
    running: { kind: 'flag', flag: 'running', help: 'running ones only' },
    tag: { kind: 'list', flag: 'tag', value: 'TAG', help: 'with this tag only (repeat: with all of them)' },
  },
  examples: [
    'pxmgr container list',
    'pxmgr container list --node pve1 -o wide',
    'pxmgr container list --tag web -o name',
  ],
  run: async (context, { options }) => {
    const inventory = await fetchInventory(context, 'container', options.node ?? '');
    const rows = inventory.objects
      .flatMap(toRow)
      .filter((row) => !options.running || row.container.status === 'running')
      .filter((row) => options.tag.every((tag) => row.container.tags.includes(tag)))
      .sort((a, b) => a.container.vmid - b.container.vmid || a.object.nodeName.localeCompare(b.object.nodeName));
    const theme = themeOf(context);
    return list<Row>({
      noun: 'Container',
      rows,
      columns: [
        { head: 'VMID', align: 'right', value: (row) => String(row.container.vmid) },
        { head: 'NAME', shrink: 1, value: (row) => row.container.name },
        { head: 'NODE', value: (row) => row.object.nodeName },
        {
          head: 'STATUS',
          value: (row) =>
            paintState(theme, row.container.status) + (row.container.lock === '' ? '' : ` (${row.container.lock})`),
        },
        {
          head: 'CORES',
          align: 'right',
          value: (row) => (row.container.cores === 0 ? 'all' : String(row.container.cores)),
        },
        { head: 'MEMORY', align: 'right', value: (row) => formatSize(row.container.memoryBytes) },
        {
          head: 'ADDRESS',
          shrink: 2,
          value: (row) => row.container.addresses.map((address) => address.split('/')[0]).join(' ') || '-',
        },
        { head: 'IMAGE', shrink: 3, value: (row) => row.container.imageReference || row.container.osType || '-' },
        { head: 'TAGS', wide: true, value: (row) => row.container.tags.join(',') || '-' },
        { head: 'SEEN', wide: true, value: (row) => relativeTime(row.object.observedAt, context.clock.now()) },
        { head: 'UID', wide: true, value: (row) => row.container.guestUid || '-' },
      ],
      name: (row) => String(row.container.vmid),
      json: (row) => ({
        node: row.object.nodeName,
        nodeUid: row.object.nodeUid,
        observedAt: row.object.observedAt,
        ...row.container,
      }),
      empty: 'no containers',
      notes: staleNote(inventory),
    });
  },
});
