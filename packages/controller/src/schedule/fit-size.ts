/** Cores and memory: of a new guest, and of one that exists and shall have more. Pure. */
import { formatSize } from '@pxmgr/contract';
import type { SetOptions } from '@pxmgr/contract/common';
import type { Reason } from '@pxmgr/contract/controller';
import type { GuestView } from '../domain/guest.ts';
import type { PlacementAsk } from '../domain/placement.ts';
import { countedCores, type NodeSnapshot } from '../domain/snapshot.ts';
import { cpuRoom, memoryRoom } from './capacity.ts';
import { type OnNode, refusal, type Trial } from './reason.ts';

type SizeTrial = Omit<Trial, 'ask'> & { readonly ask: Pick<PlacementAsk, 'cores' | 'memoryBytes'> };

export function checkCpu({ ask, policy, node, held, reasons }: SizeTrial): void {
  if (ask.cores > node.cores) {
    reasons.push(
      refusal('cpu', `${cores(ask.cores)} wanted, the node has ${String(node.cores)}`, {
        wanted: cores(ask.cores),
        found: cores(node.cores),
      }),
    );
    return;
  }
  const wanted = countedCores(ask.cores);
  const { free, total } = cpuRoom(node, held, policy);
  if (free >= wanted) return;
  const text = `${cores(wanted)} wanted, ${cores(free)} free of ${String(total)} (${String(policy.cpuOvercommit)} per core of the node)`;
  reasons.push(refusal('cpu', text, { wanted: cores(wanted), found: cores(free) }));
}

function cores(count: number): string {
  return `${String(count)} ${count === 1 ? 'core' : 'cores'}`;
}

export function checkMemory({ ask, policy, node, held, reasons }: SizeTrial): void {
  const { free, total, used, promised } = memoryRoom(node, held, policy);
  if (free >= ask.memoryBytes) return;
  const [wanted, found] = [formatSize(ask.memoryBytes), formatSize(free)];
  const parts = [`guests ${formatSize(used)}`, ...(promised > 0 ? [`promised ${formatSize(promised)}`] : [])].join(
    ', ',
  );
  reasons.push(
    refusal('memory', `${wanted} wanted, ${found} free of ${formatSize(total)} (${parts})`, { wanted, found }),
  );
}

/** Why the guest cannot be that large where it is; empty when it can. What becomes less is always taken. */
export function sizeRefusals(
  { memoryBytes, cores: count }: SetOptions,
  { node, guest, held, policy }: OnNode,
): Reason[] {
  const reasons: Reason[] = [];
  const ask = { cores: count ?? 0, memoryBytes: Number(memoryBytes ?? 0n) };
  const trial: SizeTrial = { ask, policy, node: without(guest, node), held, reasons };
  if (countedCores(ask.cores) > countedCores(guest.cores)) checkCpu(trial);
  if (ask.memoryBytes > guest.memoryBytes) checkMemory(trial);
  return reasons;
}

/** A template is in no sum. */
function without({ cores: count, memoryBytes, status, template }: GuestView, node: NodeSnapshot): NodeSnapshot {
  if (template) return node;
  const runs = status === 'running';
  return {
    ...node,
    guestCores: node.guestCores - countedCores(count),
    guestMemoryBytes: node.guestMemoryBytes - memoryBytes,
    runningMemoryBytes: node.runningMemoryBytes - (runs ? memoryBytes : 0),
  };
}
