import type { Clock } from '@pxmgr/kit/clock';
import type { Runner } from '@pxmgr/kit/exec/command';
import type { Gpu } from '../device/gpu.ts';
import type { Cluster } from '../host/cluster.ts';
import type { HostPaths } from '../host/paths.ts';
import type { TemplateStore } from '../image/template-store.ts';
import type { PveTasks } from '../operation/pve-task.ts';
import type { ExecRecords } from './exec-records.ts';
import type { GuestFiles } from './guest-file.ts';
import type { GuestRecords } from './guest-records.ts';
import type { RunState } from './run-state.ts';

/** What the verbs of this room work with. */
export interface GuestParts {
  readonly paths: HostPaths;
  readonly cluster: Cluster;
  readonly files: GuestFiles;
  readonly runState: RunState;
  readonly tasks: PveTasks;
  readonly images: TemplateStore;
  readonly records: GuestRecords;
  readonly execs: ExecRecords;
  readonly runner: Runner;
  readonly clock: Clock;
  /** GPUs of the node as they are now. */
  readonly gpus: () => Promise<readonly Gpu[]>;
}
