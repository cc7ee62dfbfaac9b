import { formatSize } from '@pxmgr/contract';
import type { InventoryObject } from '@pxmgr/contract/common';
import { command } from '../../command.ts';
import { list } from '../../result.ts';
import { fetchInventory, staleNote } from '../fetch.ts';

interface Row {
  readonly node: string;
  readonly type: string;
  readonly id: string;
  readonly what: string;
  readonly driver: string;
  readonly vram: string;
  readonly usedBy: string;
  readonly path: string;
  readonly json: unknown;
}

/** "NVIDIA GeForce RTX 3060"; a card without a known name has at least its vendor and PCI id. */
function gpuText(vendor: string, model: string, pciId: string): string {
  if (model === '') return `${vendor} ${pciId}`.trim();
  return model.toLowerCase().startsWith(vendor.toLowerCase()) ? model : `${vendor} ${model}`;
}

function toRow(object: InventoryObject): Row[] {
  const document = object.document?.document;
  const node = object.nodeName;
  if (document?.$case === 'gpu') {
    const gpu = document.value;
    const vram = gpu.vramBytes === 0n ? '-' : formatSize(gpu.vramBytes);
    return [
      {
        node,
        type: 'gpu',
        id: gpu.address,
        what: gpuText(gpu.vendor, gpu.model, gpu.pciId),
        driver: gpu.driver || '-',
        vram,
        usedBy: gpu.usedBy.join(', ') || '-',
        path: gpu.devicePaths[0] ?? '-',
        json: { node, type: 'gpu', ...gpu },
      },
    ];
  }
  if (document?.$case === 'usb') {
    const usb = document.value;
    const what = `${usb.manufacturer} ${usb.product}`.trim() || `${usb.vendorId}:${usb.productId}`;
    return [
      {
        node,
        type: 'usb',
        id: usb.id,
        what,
        driver: '-',
        vram: '-',
        usedBy: '-',
        path: usb.devicePaths[0] ?? '-',
        json: { node, type: 'usb', ...usb },
      },
    ];
  }
  return [];
}

export const deviceList = command({
  path: 'device list',
  summary: 'List GPUs and USB devices that guests can be given',
  options: { node: { kind: 'text', flag: 'node', value: 'NODE', help: 'this node only', complete: 'node' } },
  examples: ['pxmgr device list', 'pxmgr device list --node pve2 -o wide'],
  run: async (context, { options }) => {
    const gpus = await fetchInventory(context, 'gpu', options.node ?? '');
    const usb = await fetchInventory(context, 'usb', options.node ?? '');
    const rows = [...gpus.objects, ...usb.objects].flatMap(toRow);
    return list<Row>({
      noun: 'Device',
      rows: rows.sort(
        (a, b) => a.node.localeCompare(b.node) || a.type.localeCompare(b.type) || a.id.localeCompare(b.id),
      ),
      columns: [
        { head: 'NODE', value: (row) => row.node },
        { head: 'TYPE', value: (row) => row.type },
        { head: 'ID', value: (row) => row.id },
        { head: 'WHAT', shrink: 1, value: (row) => row.what },
        { head: 'DRIVER', value: (row) => row.driver },
        { head: 'VRAM', align: 'right', value: (row) => row.vram },
        { head: 'USED BY', value: (row) => row.usedBy },
        { head: 'PATH', wide: true, value: (row) => row.path },
      ],
      name: (row) => `${row.node}/${row.id}`,
      json: (row) => row.json,
      empty: 'no GPU or USB device on any node',
      notes: staleNote(gpus),
    });
  },
});
