/** Third part of the composition: deciding and doing. */
import { OperationServiceService, PlacementServiceService } from '@pxmgr/contract/controller';
import type { RpcServer } from '@pxmgr/kit/rpc/server';
import type { Auditor } from './api/audit.ts';
import type { Activity } from './api/fleet.ts';
import { operationService } from './api/operation.ts';
import { placementService } from './api/placement.ts';
import { DEFAULT_POLICY } from './domain/placement.ts';
import { createGrpcAgents } from './execute/grpc-agents.ts';
import { DEFAULT_LIMITS } from './execute/run-context.ts';
import { buildWork } from './execute/work.ts';
import type { Loop } from './loop/driver.ts';
import type { ControllerDeps } from './wire-deps.ts';
import type { Fleet } from './wire-fleet.ts';
import type { State } from './wire-state.ts';

const PLAN_TTL_MS = 15 * 60_000;
const KEEP_MS = 30 * 86_400_000;
const SWEEP_MS = 10_000;

/** What placement and execution give to the rest. */
export interface WorkSide {
  readonly activity: Activity;
  readonly loops: readonly Loop[];
  addServices(server: RpcServer, auditor: Auditor): void;
  /** Goes on with what had not ended; the view is loaded and the bus is connected. */
  start(): void;
  /** Before the database closes. */
  stop(): Promise<void>;
}

export function buildWorkSide(deps: ControllerDeps, state: State, fleet: Fleet): WorkSide {
  const { clock, ids, logger, config } = deps;
  const work = buildWork({
    database: state.database,
    seal: state.seal,
    view: fleet.view,
    agents: createGrpcAgents(fleet.dialer),
    clock,
    ids,
    logger,
    policy: DEFAULT_POLICY,
    vmids: { first: config.vmid_first, last: config.vmid_last },
    planTtlMs: PLAN_TTL_MS,
    keepMs: KEEP_MS,
    limits: DEFAULT_LIMITS,
  });
  work.endDrafts();
  return {
    activity: {
      operationsActive: () => work.records.operations.open().length,
      reservationsActive: () => work.records.reservations.active().length,
      leftBehind: () => work.leftBehind(),
      reservedMemoryBytes: (uid) => work.promisedMemoryBytes(uid),
    },
    loops: [
      {
        name: 'work',
        description: 'ends reservations and plans that expired',
        periodMs: SWEEP_MS,
        run: () => {
          work.sweep();
        },
      },
    ],
    addServices: (server, auditor) => {
      server.addService(PlacementServiceService, auditor.wrap(PlacementServiceService, placementService(work)));
      server.addService(OperationServiceService, auditor.wrap(OperationServiceService, operationService(work)));
    },
    start: () => {
      work.start();
    },
    stop: async () => {
      await work.stop();
    },
  };
}
