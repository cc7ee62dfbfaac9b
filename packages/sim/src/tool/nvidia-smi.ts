/** `nvidia-smi --query-gpu=... --format=csv,...` for the cards of the stand-in; the failure text of a host without any. */

import type { Tool } from '../call/tool.ts';
import { nvidiaCards } from '../host/devices.ts';

export const nvidiaSmi: Tool = async (host, argv, io) => {
  const cards = nvidiaCards(host);
  if (cards.length === 0) {
    io.out(
      "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.\n\n",
    );
    return 9;
  }
  const option = (name: string): string | undefined =>
    argv.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);
  const fields = option('query-gpu')?.split(',');
  const format = option('format')?.split(',') ?? [];
  if (fields === undefined || !format.includes('csv')) {
    io.err('this stand-in answers --query-gpu with --format=csv only\n');
    return 2;
  }
  const unit = format.includes('nounits') ? '' : ' MiB';
  const rows = cards.map((card, index) => {
    const values: Readonly<Record<string, string>> = {
      index: String(index),
      name: card.model,
      'pci.bus_id': card.busId,
      'memory.total': `${card.memoryMib}${unit}`,
      'memory.used': `1${unit}`,
      driver_version: '580.95.05',
    };
    return fields.map((field) => values[field] ?? '[N/A]').join(', ');
  });
  if (!format.includes('noheader'))
    io.out(`${fields.map((field) => (field.startsWith('memory.') ? `${field} [MiB]` : field)).join(', ')}\n`);
  io.out(rows.map((row) => `${row}\n`).join(''));
  return 0;
};
