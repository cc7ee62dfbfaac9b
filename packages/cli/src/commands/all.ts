/** Every command, in the order of the help page. */
import type { Command } from '../command.ts';
import { auditList } from './audit/list.ts';
import { changeList } from './change/list.ts';
import { changeShow } from './change/show.ts';
import { completionCommands } from './completion.ts';
import { configCheck, configExample, configShow } from './config.ts';
import { containerClone } from './container/clone.ts';
import { containerCreate, run } from './container/create.ts';
import { containerExec } from './container/exec.ts';
import { containerGet } from './container/get.ts';
import { containerDestroy, containerShutdown, containerStart, containerStop } from './container/lifecycle.ts';
import { containerList } from './container/list.ts';
import { containerSet } from './container/set.ts';
import {
  containerSnapshotCreate,
  containerSnapshotDestroy,
  containerSnapshotList,
  containerSnapshotRollback,
} from './container/snapshot.ts';
import { datasetList } from './dataset/list.ts';
import { deviceAttach } from './device/attach.ts';
import { deviceDetach } from './device/detach.ts';
import { deviceList } from './device/list.ts';
import { imageInspect } from './image/inspect.ts';
import { imageList } from './image/list.ts';
import { imagePull } from './image/pull.ts';
import { nodeGet } from './node/get.ts';
import { nodeJoin, nodeTokenCreate } from './node/join.ts';
import { nodeLeave } from './node/leave.ts';
import { nodeList } from './node/list.ts';
import { operationCancel } from './operation/cancel.ts';
import { operationGet } from './operation/get.ts';
import { operationList } from './operation/list.ts';
import { operationWatch } from './operation/watch.ts';
import { operatorCreate } from './operator/create.ts';
import { operatorList } from './operator/list.ts';
import { operatorRevoke } from './operator/revoke.ts';
import { placeExplain } from './place/explain.ts';
import { reservationList } from './reservation/list.ts';
import { selftest } from './selftest.ts';
import { status } from './status.ts';
import { storageList } from './storage/list.ts';
import { version } from './version.ts';

export const COMMANDS: readonly Command[] = [
  run,
  status,
  containerList,
  containerGet,
  containerCreate,
  containerClone,
  containerStart,
  containerShutdown,
  containerStop,
  containerDestroy,
  containerExec,
  containerSet,
  containerSnapshotList,
  containerSnapshotCreate,
  containerSnapshotRollback,
  containerSnapshotDestroy,
  nodeList,
  nodeGet,
  nodeJoin,
  nodeTokenCreate,
  nodeLeave,
  imageList,
  imagePull,
  imageInspect,
  deviceList,
  deviceAttach,
  deviceDetach,
  storageList,
  datasetList,
  placeExplain,
  changeList,
  changeShow,
  reservationList,
  operationList,
  operationGet,
  operationWatch,
  operationCancel,
  operatorList,
  operatorCreate,
  operatorRevoke,
  auditList,
  selftest,
  configShow,
  configCheck,
  configExample,
  ...completionCommands(() => COMMANDS),
  version,
];

/** What a noun is about, for the help page of the noun. */
export const NOUNS: Readonly<Record<string, string>> = {
  container: 'Containers: list, create, clone, start, stop, run programs in them',
  'container snapshot': 'Snapshots of containers: create, list, rollback, destroy',
  node: 'Nodes of the fleet: list, add, remove',
  'node token': 'One-time tokens with which nodes join',
  image: 'OCI images on the nodes and in registries',
  device: 'GPUs and USB devices of the nodes: list, give, take',
  storage: 'Storages of the nodes',
  dataset: 'ZFS datasets of the nodes',
  place: 'Placement: where a container would go, and why',
  change: 'History: what changed, when, by whom',
  reservation: 'What is held for work in progress',
  operation: 'Long-running work: follow it, look at it, cancel it',
  operator: 'People with certificates: list, add, remove',
  audit: 'Who asked for what change, and who was refused',
  config: 'Settings of this program',
};
