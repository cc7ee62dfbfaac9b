import { formatSize } from '@pxmgr/contract';
import { command } from '../../command.ts';
import { list } from '../../result.ts';
import { type Found, fetchInventory, ONE_NODE_OPTION, staleNote } from '../inventory.ts';

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

function gpuRow({ object: { nodeName: node }, document: gpu }: Found<'gpu'>): Row {
  return {
    node,
    type: 'gpu',
    id: gpu.address,
    what: gpuText(gpu.vendor, gpu.model, gpu.pciId),
    driver: gpu.driver || '-',
    vram: gpu.vramBytes === 0n ? '-' : formatSize(gpu.vramBytes),
    usedBy: gpu.usedBy.join(', ') || '-',
    path: gpu.devicePaths[0] ?? '-',
    json: { node, type: 'gpu', ...gpu },
  };
}

function usbRow({ object: { nodeName: node }, document: usb }: Found<'usb'>): Row {
  return {
    node,
    type: 'usb',
    id: usb.id,
    what: `${usb.manufacturer} ${usb.product}`.trim() || `${usb.vendorId}:${usb.productId}`,
    driver: '-',
    vram: '-',
    usedBy: '-',
    path: usb.devicePaths[0] ?? '-',
    json: { node, type: 'usb', ...usb },
  };
}

export const deviceList = command({
  path: 'device list',
  summary: 'List GPUs and USB devices that guests can be given',
  options: { node: ONE_NODE_OPTION },
  examples: ['pxmgr device list', 'pxmgr device list --node pve2 -o wide'],
  run: async (context, { options }) => {
    const gpus = await fetchInventory(context, 'gpu', options.node);
    const usb = await fetchInventory(context, 'usb', options.node);
    const rows = [...gpus.found.map(gpuRow), ...usb.found.map(usbRow)];
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
