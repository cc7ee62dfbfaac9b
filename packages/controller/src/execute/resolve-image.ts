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
  nodes: readonly NodeSnapshot[],
  source: ImageSource,
): Promise<ResolvedImage | undefined> {
  const able = nodes.filter((node) => node.presence === 'up' && node.capabilities.has('image.pull'));
  able.sort((a, b) => stableHash(`${source.reference}/${a.uid}`) - stableHash(`${source.reference}/${b.uid}`));
  let failure: PxmError | undefined;
  for (const node of able.slice(0, AGENTS_TRIED)) {
    try {
      return await ask(agents, node.uid, source);
    } catch (error) {
      if (!isPxmError(error) || !isAwayFrom(error)) throw error;
      failure = error;
    }
  }
  if (failure !== undefined) throw failure;
  return undefined;
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
