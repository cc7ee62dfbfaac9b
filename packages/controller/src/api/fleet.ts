import { PRODUCT_VERSION } from '@pxmgr/contract';
import type { Problem } from '@pxmgr/contract/common';
import {
  type FleetServiceService,
  type GetStatusResponse,
  type Node,
  Presence,
  type RevokeNodeResponse,
} from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { toProblem } from '@pxmgr/kit/error/to-problem';
import type { Implementation } from '@pxmgr/kit/rpc/handlers';
import { identityText } from '@pxmgr/kit/rpc/identity';
import type { BusStatus } from '../bus/bus.ts';
import type { NodeState } from '../domain/node-state.ts';
import type { Joining } from '../fleet/join.ts';
import type { Tokens } from '../fleet/tokens.ts';
import type { View } from '../inventory/view.ts';
import { runChecks, type SelfCheck } from './selftest.ts';

/** Work under way, from the rooms that do it. */
export interface Activity {
  operationsActive(): number;
  reservationsActive(): number;
  /** Promised on a node and not in its inventory yet. */
  reservedMemoryBytes(nodeUid: string): bigint;
  /** What failed work has left, as far as people have to look. */
  leftBehind(): Problem[];
}

export interface FleetParts {
  readonly view: View;
  readonly tokens: Tokens;
  readonly startedAt: Date;
  readonly bus: () => BusStatus;
  readonly activity: Activity;
  readonly changeCount: () => number;
  readonly databaseBytes: () => number;
  /** Why nothing can be written to it now. */
  readonly databaseFailure: () => Error | undefined;
  /** Cuts a node off and forgets it. Errors: PXM_NODE_NOT_FOUND. */
  readonly revoke: (node: string) => Promise<RevokeNodeResponse>;
  readonly checks: () => readonly SelfCheck[];
  readonly joining: Joining;
}

/** Nodes of the fleet and the controller itself. */
export function fleetService(parts: FleetParts): Implementation<typeof FleetServiceService> {
  return {
    getStatus: async () => await Promise.resolve(status(parts)),
    listNodes: async () => await Promise.resolve({ nodes: parts.view.nodes().map((node) => toNode(parts, node)) }),
    getNode: async (request) => {
      const node = parts.view.node(request.node);
      if (node === undefined) throw new PxmError('PXM_NODE_NOT_FOUND', { node: request.node });
      return await Promise.resolve({ node: toNode(parts, node) });
    },
    createToken: async (request, context) =>
      await Promise.resolve(parts.tokens.create({ ...request, actor: identityText(context.identity) })),
    revokeNode: async (request) => await parts.revoke(request.node),
    // The table lets only agents call this, and each renews only what its certificate says that it is.
    renewNode: async ({ certificateRequest }, { identity }) =>
      await parts.joining.renew(identity.name, certificateRequest),
    runSelftest: async (_request, context) => ({ checks: await runChecks(parts.checks(), context.signal) }),
  };
}

const PRESENCE = {
  joined: Presence.PRESENCE_JOINED,
  up: Presence.PRESENCE_UP,
  suspect: Presence.PRESENCE_SUSPECT,
  down: Presence.PRESENCE_DOWN,
} as const;

function status(parts: FleetParts): GetStatusResponse {
  const { view, activity } = parts;
  const nodes = view.nodes();
  const bus = parts.bus();
  const count = (presence: NodeState['presence']): number => nodes.filter((node) => node.presence === presence).length;
  return {
    controllerVersion: PRODUCT_VERSION,
    startedAt: parts.startedAt,
    natsUrl: bus.url,
    natsConnected: bus.isConnected,
    natsSupervised: bus.isSupervised,
    nodesUp: count('up'),
    nodesSuspect: count('suspect'),
    nodesDown: count('down'),
    objects: Object.fromEntries([...view.counts()].filter(([, number]) => number > 0)),
    containersRunning: view.guests().filter((guest) => guest.kind === 'container' && guest.status === 'running').length,
    operationsActive: activity.operationsActive(),
    reservationsActive: activity.reservationsActive(),
    changes: BigInt(parts.changeCount()),
    databaseBytes: BigInt(parts.databaseBytes()),
    problems: [
      ...[parts.databaseFailure(), bus.failure].flatMap(problemOf),
      ...nodes.flatMap(problemsOf),
      ...activity.leftBehind(),
    ],
  };
}

function problemOf(failure: Error | undefined): Problem[] {
  return failure === undefined ? [] : [toProblem(failure)];
}

/** What the node itself says that it could not read or write, under its name. A silent one may have quorum by now. */
function problemsOf({ name, presence, document }: NodeState): Problem[] {
  const isCutOff = presence === 'up' && document?.quorate === false;
  return [
    ...(isCutOff ? [toProblem(new PxmError('PXM_NO_QUORUM', { node: name }))] : []),
    ...failuresOf(name, document),
  ];
}

function failuresOf(name: string, document: NodeState['document']): Problem[] {
  return (document?.failures ?? []).flatMap(({ source, problem }) =>
    problem === undefined ? [] : [{ ...problem, message: `${name}: ${source}: ${problem.message}` }],
  );
}

type Figures = 'cpuFraction' | 'memoryUsedBytes' | 'memoryTotalBytes' | 'load1' | 'uptimeSeconds';

function figuresOf({ metrics, document }: NodeState): Pick<Node, Figures> {
  if (metrics === undefined) {
    const memoryTotalBytes = document?.memoryBytes ?? 0n;
    return { cpuFraction: 0, memoryUsedBytes: 0n, memoryTotalBytes, load1: 0, uptimeSeconds: 0n };
  }
  const { cpuFraction, memoryUsedBytes, memoryTotalBytes, load1, uptimeSeconds } = metrics;
  return { cpuFraction, memoryUsedBytes, memoryTotalBytes, load1, uptimeSeconds };
}

function toNode({ view, activity }: FleetParts, node: NodeState): Node {
  const containers = view.guests(node.uid).filter((guest) => guest.kind === 'container');
  return {
    uid: node.uid,
    name: node.name,
    presence: PRESENCE[node.presence],
    lastSeenAt: node.lastSeenAt,
    joinedAt: node.joinedAt,
    certificateExpiresAt: node.certificateExpiresAt,
    generation: node.generation,
    document: node.document,
    ...figuresOf(node),
    memoryReservedBytes: activity.reservedMemoryBytes(node.uid),
    containers: containers.length,
    containersRunning: containers.filter((guest) => guest.status === 'running').length,
    gpus: view.objects('gpu', node.uid).length,
  };
}
