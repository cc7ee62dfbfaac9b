import type { PxmError } from '@pxmgr/kit/error/pxm-error';
import { toPxmError } from '@pxmgr/kit/error/to-problem';
import type { KnownNode } from './registry.ts';

export type NodeResult<T> =
  | { readonly node: KnownNode; readonly ok: true; readonly value: T }
  | { readonly node: KnownNode; readonly ok: false; readonly error: PxmError };

/** How many agents are asked at the same time. */
const AT_ONCE = 32;

/** Asks many nodes; one that fails does not disturb the others. Results in the order of `nodes`. */
export async function fanOut<T>(
  nodes: readonly KnownNode[],
  ask: (node: KnownNode) => Promise<T>,
): Promise<NodeResult<T>[]> {
  const results: NodeResult<T>[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < nodes.length; index = next++) {
      const node = nodes[index];
      if (node !== undefined) results[index] = await askOne(node, ask);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, nodes.length) }, worker));
  return results;
}

async function askOne<T>(node: KnownNode, ask: (node: KnownNode) => Promise<T>): Promise<NodeResult<T>> {
  try {
    return { node, ok: true, value: await ask(node) };
  } catch (error) {
    return { node, ok: false, error: toPxmError(error) };
  }
}
