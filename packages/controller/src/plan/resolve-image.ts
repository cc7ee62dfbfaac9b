/** An image reference to a digest, its size and its volumes, by way of an agent that can reach the registry. */
import { parseImageReference, pinImageReference } from '@pxmgr/contract';
import type { ImageSource } from '@pxmgr/contract/common';
import { isPxmError, type PxmError } from '@pxmgr/kit/error/pxm-error';
import type { NodeSnapshot } from '../domain/snapshot.ts';
import { stableHash } from '../schedule/pick.ts';
import type { AgentDoor } from './agent-door.ts';

export interface ResolvedImage {
  readonly image: ImageSource;
  /** Paths the image declares as volumes. */
  readonly volumes: readonly string[];
}

/** An agent that does not answer is passed over, up to this many. */
const AGENTS_TRIED = 3;

/** Undefined when no node of `nodes` could ask: then no node can take the image either, and the evaluation says why. */
export async function resolveImage(
  agents: AgentDoor,
  nodes: Iterable<NodeSnapshot>,
  source: ImageSource,
): Promise<ResolvedImage | undefined> {
  let failure: PxmError | undefined;
  let tried = 0;
  for (const node of nodes) {
    if (node.presence !== 'up' || !node.capabilities.has('image.pull')) continue;
    try {
      return await ask(agents, node.uid, source);
    } catch (error) {
      if (!isPxmError(error) || !isAwayFrom(error)) throw error;
      failure = error;
    }
    tried += 1;
    if (tried === AGENTS_TRIED) break;
  }
  if (failure !== undefined) throw failure;
  return undefined;
}

/** References whose order is kept. */
const ORDERS_MAX = 64;

/** Which agents are asked about an image, in which order: another one for each reference, so that all get their share. */
export class AskOrder {
  #seen: readonly NodeSnapshot[] = [];
  #members: readonly string[] = [];
  readonly #orders = new Map<string, readonly number[]>();

  /** The nodes in their order for the reference. */
  *of(reference: string, nodes: readonly NodeSnapshot[]): IterableIterator<NodeSnapshot> {
    if (nodes !== this.#seen) this.#look(nodes);
    for (const slot of this.#order(reference)) {
      const node = nodes[slot];
      if (node !== undefined) yield node;
    }
  }

  #look(nodes: readonly NodeSnapshot[]): void {
    this.#seen = nodes;
    if (nodes.length === this.#members.length && nodes.every((node, slot) => node.uid === this.#members[slot])) return;
    this.#members = nodes.map((node) => node.uid);
    this.#orders.clear();
  }

  #order(reference: string): readonly number[] {
    const known = this.#orders.get(reference);
    if (known !== undefined) return known;
    if (this.#orders.size >= ORDERS_MAX) this.#orders.clear();
    const hashes = this.#members.map((uid) => stableHash(`${reference}/${uid}`));
    const order = hashes.map((_, slot) => slot).sort((a, b) => (hashes[a] ?? 0) - (hashes[b] ?? 0));
    this.#orders.set(reference, order);
    return order;
  }
}

/** The agent is away; the registry was not asked. */
function isAwayFrom(error: PxmError): boolean {
  return error.code === 'PXM_NODE_UNREACHABLE' || error.code === 'PXM_SHUTTING_DOWN';
}

async function ask(agents: AgentDoor, nodeUid: string, source: ImageSource): Promise<ResolvedImage> {
  const { reference, platform } = source;
  const answer = await agents.resolveImage(nodeUid, { reference: pinned(source), platform });
  const found = answer.image;
  return {
    image: {
      reference,
      digest: found?.digest ?? '',
      platform: found?.platform ?? platform,
      indexDigest: found?.indexDigest ?? '',
      sizeBytes: found?.sizeBytes ?? 0n,
    },
    volumes: answer.config?.volumes ?? [],
  };
}

/** A digest that the caller names decides, whatever the tag points to by now. */
function pinned({ reference, digest }: ImageSource): string {
  const parsed = parseImageReference(reference);
  return digest === '' || !parsed.ok ? reference : pinImageReference(parsed.value, digest);
}
