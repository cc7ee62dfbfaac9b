/** Puts the room together: what wire hands in, what api and the loops use. */
import type { Problem } from '@pxmgr/contract/common';
import type { Clock, IdSource } from '@pxmgr/kit/clock';
import type { Logger } from '@pxmgr/kit/log/logger';
import type { FleetView } from '../domain/fleet-view.ts';
import type { PlacementPolicy } from '../domain/placement.ts';
import { ActionPlanner } from '../plan/action-planner.ts';
import type { AgentDoor } from '../plan/agent-door.ts';
import { holdingsOn } from '../plan/free-devices.ts';
import { Ledger } from '../plan/ledger.ts';
import { Planner } from '../plan/planner.ts';
import { createRecords, type Records } from '../plan/records.ts';
import { Snapshots } from '../plan/snapshots.ts';
import type { VmidRange } from '../schedule/vmid.ts';
import type { Database } from '../store/open.ts';
import type { Seal } from '../store/seal.ts';
import { Executor } from './executor.ts';
import { leftBehind } from './left-behind.ts';
import type { ExecuteLimits } from './run-context.ts';
import { endDrafts, type Swept, sweep } from './sweep.ts';
import { WatchHub } from './watch-hub.ts';

export interface WorkDeps {
  readonly database: Database;
  /** For what plans must not hold readably. */
  readonly seal: Seal;
  readonly view: FleetView;
  readonly agents: AgentDoor;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly logger: Logger;
  readonly policy: PlacementPolicy;
  readonly vmids: VmidRange;
  readonly planTtlMs: number;
  /** How long ended operations and plans are kept. */
  readonly keepMs: number;
  readonly limits: ExecuteLimits;
}

export interface Work {
  readonly records: Records;
  readonly planner: Planner;
  readonly actions: ActionPlanner;
  readonly executor: Executor;
  readonly hub: WatchHub;
  /** On the node and not in its inventory yet. */
  promisedMemoryBytes(nodeUid: string): bigint;
  /** For `pxmgr status`. */
  leftBehind(): Problem[];
  /** For a loop of about 10 s. */
  sweep(): Swept;
  /** Forgets the plans of an earlier process that nobody will apply. Call before anybody can ask for one of this. */
  endDrafts(): void;
  /** Goes on with what had not ended. Call when the view is loaded. */
  start(): void;
  /** Leaves running operations for the next start. Call before the database closes. */
  stop(): Promise<void>;
}

export function buildWork(deps: WorkDeps): Work {
  const records = createRecords(deps.database, deps.seal);
  const snapshots = new Snapshots(deps.view);
  const hub = new WatchHub();
  const ledger = new Ledger({ ...deps, records, snapshots });
  const planning = { ...deps, records, snapshots, ledger };
  const planner = new Planner(planning);
  const executor = new Executor({ ...deps, records, ledger, hub });
  return {
    records,
    planner,
    actions: new ActionPlanner({ ...planning, planner }),
    executor,
    hub,
    promisedMemoryBytes: (uid) => {
      const node = snapshots.node(uid);
      return BigInt(node === undefined ? 0 : holdingsOn(records.reservations, node).memoryBytes);
    },
    leftBehind: () => leftBehind({ ...deps, records }),
    sweep: () => sweep({ ...deps, records, snapshots }),
    endDrafts: () => {
      endDrafts({ ...deps, records });
    },
    start: () => {
      executor.start();
    },
    stop: async () => {
      planner.stop();
      await executor.stop();
      snapshots.close();
    },
  };
}
