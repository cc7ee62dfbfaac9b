/** Filters: can this node take it? Every filter that refuses is reported, each with a word, a text, what was wanted and what was found. */
import { type Capability, capabilityNeeds } from '@pxmgr/contract';
import type { Reason } from '@pxmgr/contract/controller';
import type { PlacementAsk, PlacementPolicy } from '../domain/placement.ts';
import type { Holdings, PoolClaim } from '../domain/reservation.ts';
import { type GpuView, type NodeSnapshot, rootOf, type StorageView } from '../domain/snapshot.ts';
import { checkDevices, fitGpus } from './fit-device.ts';
import { checkCpu, checkMemory } from './fit-size.ts';
import { checkImage, fitStorage } from './fit-storage.ts';
import { refusal, type Trial } from './reason.ts';

/** What is the same for all nodes of one evaluation. */
export interface Terms {
  readonly ask: PlacementAsk;
  readonly policy: PlacementPolicy;
  /** Holders of the asked vmid; empty when the vmid is allocated. */
  readonly vmidOwners: readonly VmidOwner[];
  /** The fleet is this one node, so there is no choice to be wrong about. */
  readonly isOnlyNode: boolean;
}

export interface VmidOwner {
  readonly nodeUid: string;
  readonly nodeName: string;
  readonly cluster: string;
  /** For people: "container web", "a reservation". */
  readonly holder: string;
}

/** How the placement would sit on the node; complete only when `reasons` is empty. */
export interface Fit {
  readonly reasons: readonly Reason[];
  readonly storage: StorageView | undefined;
  readonly pools: readonly PoolClaim[];
  readonly gpus: readonly GpuView[];
}

const NOTHING: Omit<Fit, 'reasons'> = { storage: undefined, pools: [], gpus: [] };

export function fitNode(terms: Terms, node: NodeSnapshot, held: Holdings): Fit {
  const { ask, policy } = terms;
  const reasons: Reason[] = [];
  const trial: Trial = { ask, policy, node, held, reasons };
  checkConstraint(trial);
  checkPresence(trial);
  // Without a first inventory every further filter would only repeat that nothing is known.
  if (!node.known) return { reasons, ...NOTHING };
  checkAbilities(trial);
  checkCpu(trial);
  checkMemory(trial);
  const { storage, pools } = fitStorage(trial);
  checkImage(trial);
  checkTemplate(trial);
  const gpus = fitGpus(trial);
  checkDevices(trial);
  checkDatasets(trial);
  if (!terms.isOnlyNode) checkBindSources(trial);
  checkBridges(trial);
  checkVmid(trial, terms.vmidOwners);
  return { reasons, storage, pools, gpus };
}

export function isNamed(node: NodeSnapshot, key: string): boolean {
  return key === node.name || key === node.uid;
}

function checkConstraint({ ask, node, reasons }: Trial): void {
  if (ask.node !== '' && !isNamed(node, ask.node))
    reasons.push(refusal('constraint', `the request names node ${ask.node}`, { wanted: ask.node, found: node.name }));
  if (ask.excludeNodes.some((key) => isNamed(node, key))) {
    reasons.push(
      refusal('constraint', 'the request excludes this node', {
        wanted: `not ${ask.excludeNodes.join(', ')}`,
        found: node.name,
      }),
    );
  }
}

const PRESENCE_TEXT = {
  suspect: 'the node has been silent for some seconds',
  down: 'the node does not answer',
  joined: 'the node has joined but was never heard of',
} as const;

function checkPresence({ node, reasons }: Trial): void {
  if (node.presence !== 'up')
    reasons.push(refusal('presence', PRESENCE_TEXT[node.presence], { wanted: 'up', found: node.presence }));
  if (!node.known)
    reasons.push(
      refusal('inventory', 'no inventory of the node has arrived yet', { wanted: 'an inventory', found: 'none' }),
    );
  else if (!node.quorate)
    reasons.push(
      refusal('quorum', `the node is cut off from cluster ${node.cluster}`, { wanted: 'quorum', found: 'none' }),
    );
}

function checkAbilities({ ask, node, reasons }: Trial): void {
  for (const name of ask.capabilities) {
    if (node.capabilities.has(name)) continue;
    reasons.push(
      refusal('capability', `${name} needs ${capabilityNeeds(name as Capability)}`, {
        wanted: name,
        found: 'not there',
      }),
    );
  }
  if (ask.architecture !== '' && node.architecture !== '' && node.architecture !== ask.architecture) {
    reasons.push(
      refusal('architecture', `the image is for ${ask.architecture}, the node is ${node.architecture}`, {
        wanted: ask.architecture,
        found: node.architecture,
      }),
    );
  }
}

function checkTemplate({ ask: { template }, node, reasons }: Trial): void {
  if (template === '' || node.templates.has(template)) return;
  reasons.push(refusal('template', `template ${template} is not there`, { wanted: template, found: 'not there' }));
}

function checkDatasets({ ask, node, reasons }: Trial): void {
  for (const name of ask.datasets) {
    const dataset = node.datasets.get(name);
    if (dataset?.mounted === true && dataset.mountpoint.startsWith('/')) continue;
    const found = dataset === undefined ? 'not there' : 'not mounted';
    reasons.push(refusal('dataset', `dataset ${name} is ${found}`, { wanted: name, found }));
  }
}

/**
 * A bind source is a path of the host, and the inventory lists no directories. Known = it lies in a mounted dataset or
 * in a storage's directory. An unknown one is refused where there is a choice of nodes, for the choice would be a
 * guess; on a node that was named, or is the only one, the agent's own check before the create decides.
 */
function checkBindSources({ ask, node, reasons }: Trial): void {
  if (ask.node !== '') return;
  for (const path of ask.bindSources) {
    if (rootOf(node, path) !== undefined) continue;
    const text = `no dataset or storage of the node is known to hold ${path}; name the node to let its agent look`;
    reasons.push(refusal('bind_source', text, { wanted: path, found: 'unknown' }));
  }
}

function checkBridges({ ask, node, reasons }: Trial): void {
  for (const bridge of ask.bridges) {
    if (node.bridges.has(bridge)) continue;
    const found = [...node.bridges].sort().join(', ');
    reasons.push(
      refusal('bridge', `bridge ${bridge} is not there (${found === '' ? 'the node has none' : `it has ${found}`})`, {
        wanted: bridge,
        found: found === '' ? 'none' : found,
      }),
    );
  }
}

/** A vmid is unique within a cluster; a standalone node has its own numbers. */
function ownerNear(node: NodeSnapshot, vmidOwners: readonly VmidOwner[]): VmidOwner | undefined {
  return vmidOwners.find(
    (other) => other.nodeUid === node.uid || (node.cluster !== '' && other.cluster === node.cluster),
  );
}

export function holdsVmid(node: NodeSnapshot, vmidOwners: readonly VmidOwner[]): boolean {
  return ownerNear(node, vmidOwners) !== undefined;
}

function checkVmid({ ask, node, reasons }: Trial, vmidOwners: readonly VmidOwner[]): void {
  const owner = ownerNear(node, vmidOwners);
  if (owner === undefined) return;
  reasons.push(
    refusal('vmid', `vmid ${String(ask.vmid)} is taken by ${owner.holder} on ${owner.nodeName}`, {
      wanted: String(ask.vmid),
      found: owner.holder,
    }),
  );
}
