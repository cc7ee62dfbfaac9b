/** `--gpu [SELECTOR]`: nothing = any card; vendor, PCI address, vram=SIZE, count=N, exclusive, joined by commas. */
import { parsePciAddress, parseSize } from '@pxmgr/contract';
import { GpuRequest } from '@pxmgr/contract/common';
import type { Problems } from './problems.ts';

const COUNT_MAX = 16;
const VENDORS = ['amd', 'intel', 'nvidia'];

function countOf(text: string): number | undefined {
  const count = Number(text);
  return /^\d+$/.test(text) && count >= 1 && count <= COUNT_MAX ? count : undefined;
}

function applyPart(request: GpuRequest, part: string, problems: Problems): void {
  const where = `--gpu ${part}`;
  if (part === 'any') return;
  if (part === 'exclusive') request.exclusive = true;
  else if (VENDORS.includes(part)) request.vendor = part;
  else if (part.startsWith('vram=')) request.vramBytes = BigInt(problems.take(where, parseSize(part.slice(5))) ?? 0);
  else if (part.startsWith('count=')) {
    const count = countOf(part.slice(6));
    if (count !== undefined) request.count = count;
    else problems.add(where, 'the count must be a whole number from 1 to 16');
  } else if (part.includes(':')) request.address = problems.take(where, parsePciAddress(part)) ?? '';
  else
    problems.add(
      where,
      `"${part}" is not a vendor (${VENDORS.join(', ')}), a PCI address, vram=SIZE, count=N or exclusive`,
    );
}

export function parseGpu(value: string | true | undefined, problems: Problems): GpuRequest | undefined {
  if (value === undefined) return undefined;
  const request = GpuRequest.fromPartial({ count: 1 });
  if (value !== true) for (const part of value.split(',')) applyPart(request, part.trim(), problems);
  return request;
}
