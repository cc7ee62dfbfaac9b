/** Answers of the API's reading side, as far as our programs ask for it. Shapes follow pve-manager PVE/API2 and pve-container. */

import { ToolError } from '../call/tool.ts';
import { isQuorate, readCluster, syncCluster } from '../cluster/pmxcfs.ts';
import { loadConfig, requireSnapshot } from '../guest/config-store.ts';
import { mergedView, pendingDeletes } from '../guest/pending.ts';
import { configProperty } from '../guest/syntax.ts';
import type { Host } from '../host/host.ts';
import { PVE_REPOID, PVE_VERSION } from '../host/version.ts';
import { statusFields } from '../pct/show.ts';
import { checkParameters } from '../schema/command.ts';
import { FieldError } from '../schema/property.ts';
import { readMethods } from '../schema/schema-data.ts';
import type { Asked } from './asked.ts';
import { clusterOptions, haStatus, poolRows, resourceRow, resourceRows } from './cluster-reads.ts';
import { contentAnswer, featureAnswer, haState, interfaces, snapshotRows } from './guest-reads.ts';
import { indexOf } from './indexes.ts';
import { clusterLogRows, firewallOptions, nodeStatus, templateIndex } from './node-answers.ts';
import { repositoryTags } from './registry.ts';
import { nodes, reportingHosts, resources } from './resources.ts';
import { storageConfig, storageConfigs, storageRows, storageStatus } from './storage-reads.ts';
import { clusterTasks, taskLog, taskRows, taskStatus } from './tasks.ts';
import { findPath } from './tree.ts';
import { vmConfig, vmCurrent, vmRows } from './vm-reads.ts';

type Answer = (host: Host, match: RegExpExecArray, asked: Asked) => unknown;

const ROWS: readonly (readonly [pattern: RegExp, answer: Answer])[] = [
  [
    /^version$/,
    () => ({ release: PVE_VERSION.split('.').slice(0, 2).join('.'), repoid: PVE_REPOID, version: PVE_VERSION }),
  ],
  [/^cluster\/nextid$/, (host, _, { params }) => nextId(host, params)],
  [
    /^cluster\/resources$/,
    (host, _, { params, hasRights }) => resources(host, { type: params.get('type'), hasRights }),
  ],
  [/^cluster\/status$/, (host) => clusterStatus(host)],
  [/^cluster\/log$/, (host, _, { params }) => clusterLogRows(host, Number(params.get('max') ?? 0))],
  [/^cluster\/tasks$/, (host) => clusterTasks(reportingHosts(host))],
  [/^nodes$/, (host, _, { warn }) => nodes(host, warn)],
  [/^nodes\/([^/]+)\/status$/, (host) => nodeStatus(host)],
  [
    /^nodes\/([^/]+)\/version$/,
    () => ({ release: PVE_VERSION.split('.').slice(0, 2).join('.'), repoid: PVE_REPOID, version: PVE_VERSION }),
  ],
  [/^nodes\/([^/]+)\/aplinfo$/, (host, _, { warn }) => templateIndex(host, warn)],
  [/^nodes\/([^/]+)\/lxc\/(\d+)\/firewall\/options$/, (host, match) => firewallOptions(host, Number(match[2]))],
  [/^nodes\/([^/]+)\/query-oci-repo-tags$/, (host, _, asked) => repositoryTags(host, asked)],
  [/^nodes\/([^/]+)\/storage$/, (host) => storageRows(host)],
  [/^nodes\/([^/]+)\/lxc$/, (host) => ownRows(host)],
  [/^nodes\/([^/]+)\/lxc\/(\d+)\/config$/, (host, match, { params }) => guestConfig(host, Number(match[2]), params)],
  [/^nodes\/([^/]+)\/lxc\/(\d+)\/pending$/, (host, match) => guestPending(host, Number(match[2]))],
  [
    /^nodes\/([^/]+)\/lxc\/(\d+)\/status\/current$/,
    (host, match) => ({ ...statusOf(host, Number(match[2])), cpu: 0, ha: haState(host, Number(match[2])) }),
  ],
  [/^nodes\/([^/]+)\/lxc\/(\d+)\/snapshot$/, (host, match) => snapshotRows(host, Number(match[2]))],
  [
    /^nodes\/([^/]+)\/lxc\/(\d+)\/snapshot\/([^/]+)\/config$/,
    (host, match) => snapshotConfig(host, Number(match[2]), match[3] ?? ''),
  ],
  [/^nodes\/([^/]+)\/lxc\/(\d+)\/feature$/, (host, match, { params }) => featureAnswer(host, Number(match[2]), params)],
  [/^nodes\/([^/]+)\/qemu$/, (host) => vmRows(host)],
  [
    /^nodes\/([^/]+)\/qemu\/(\d+)\/config$/,
    (host, match, { params }) => vmConfig(host, Number(match[2]), params.get('current') === '1'),
  ],
  [/^nodes\/([^/]+)\/qemu\/(\d+)\/status\/current$/, (host, match) => vmCurrent(host, Number(match[2]))],
  [/^nodes\/([^/]+)\/storage\/([^/]+)\/status$/, (host, match) => storageStatus(host, match[2] ?? '')],
  [/^storage$/, (host, _, { params }) => storageConfigs(host, params.get('type'))],
  [/^storage\/([^/]+)$/, (host, match) => storageConfig(host, match[1] ?? '')],
  [/^cluster\/ha\/resources$/, (host) => resourceRows(host)],
  [/^cluster\/ha\/resources\/([^/]+)$/, (host, match) => resourceRow(host, match[1] ?? '')],
  [/^cluster\/ha\/status\/current$/, (host) => haStatus(host)],
  [/^cluster\/(?:backup|replication|ha\/rules)$/, () => []],
  [/^cluster\/options$/, (host) => clusterOptions(host)],
  [/^pools$/, (host) => poolRows(host)],
  [/^nodes\/([^/]+)\/tasks$/, (host, _, { params }) => taskRows(host, params)],
  [/^nodes\/([^/]+)\/tasks\/([^/]+)\/status$/, (host, match) => taskStatus(host, decodeURIComponent(match[2] ?? ''))],
  [
    /^nodes\/([^/]+)\/tasks\/([^/]+)\/log$/,
    (host, match, { params }) => taskLog(host, decodeURIComponent(match[2] ?? ''), params),
  ],
  [/^nodes\/([^/]+)\/lxc\/(\d+)\/interfaces$/, (host, match) => interfaces(host, Number(match[2]))],
  [
    /^nodes\/([^/]+)\/storage\/([^/]+)\/content$/,
    (host, match, { params }) => contentAnswer(host, match[2] ?? '', params),
  ],
];

/** undefined: nothing answers that path. */
export async function answerOf(host: Host, path: string, asked: Asked): Promise<unknown> {
  const clean = path.replace(/^\/+|\/+$/g, '');
  const found = findPath(clean);
  if (found === undefined) return undefined;
  const { node } = found.given;
  // The folder of a node is the same wherever it is asked.
  if (node !== undefined && node !== host.name && found.template !== '/nodes/{node}') refuseOtherNode(host, node);
  const method = readMethods()[found.template];
  if (method !== undefined) checkParameters({ ...Object.fromEntries(asked.params), ...found.given }, method.params);
  syncCluster(host);
  const rows = indexOf(found.template);
  if (rows !== undefined) {
    if (found.template === '/nodes/{node}/lxc/{vmid}/status')
      loadConfig(host, Number(found.given['vmid']), () => undefined);
    return rows;
  }
  for (const [pattern, answer] of ROWS) {
    const match = pattern.exec(clean);
    if (match !== null) return answer(host, match, asked);
  }
  return undefined;
}

/** No node has the keys of another here. */
function refuseOtherNode(host: Host, node: string): never {
  requireNode(host, node);
  throw new ToolError('proxy handler failed: Host key verification failed.\n');
}

/** A name that no node has cannot be resolved either. */
function requireNode(host: Host, node: string): void {
  if (readCluster(host).members[node] !== undefined) return;
  const reason = `failed to get address info for: ${node}: Temporary failure in name resolution`;
  throw new ToolError(`hostname lookup '${node}' failed - ${reason}\n`, 11);
}

/** A lookup, not a reservation: the lowest free id, or the given one when it is free. */
function nextId(host: Host, params: Asked['params']): string {
  const taken = readCluster(host).guests;
  const asked = params.get('vmid');
  if (asked !== undefined) {
    if (taken[asked] !== undefined)
      throw new FieldError('400 Parameter verification failed.', { vmid: `VM ${asked} already exists` });
    return asked;
  }
  for (let vmid = 100; vmid < 1_000_000; vmid++) if (taken[String(vmid)] === undefined) return String(vmid);
  throw new ToolError('unable to get any free VMID in range [100, 1000000]\n');
}

function clusterStatus(host: Host): unknown[] {
  const { clusterName, members } = readCluster(host);
  const nodes = Object.entries(members).map(([name, m]) => ({
    id: `node/${name}`,
    ip: m.ip,
    level: '',
    local: name === host.name ? 1 : 0,
    name,
    nodeid: m.id,
    online: m.online ? 1 : 0,
    type: 'node',
  }));
  if (clusterName === '') return nodes;
  return [
    {
      id: 'cluster',
      name: clusterName,
      nodes: nodes.length,
      quorate: isQuorate(host) ? 1 : 0,
      type: 'cluster',
      version: nodes.length,
    },
    ...nodes,
  ];
}

function statusOf(host: Host, vmid: number): Record<string, unknown> {
  return statusFields(
    { host, vmid },
    loadConfig(host, vmid, () => undefined),
  );
}

function ownRows(host: Host): unknown[] {
  const own = Object.entries(readCluster(host).guests).filter(
    ([, guest]) => guest.type === 'lxc' && guest.node === host.name,
  );
  return own.map(([vmid]) => ({ ...statusOf(host, Number(vmid)), cpu: 0 }));
}

function guestConfig(host: Host, vmid: number, params: Asked['params']): Record<string, unknown> {
  const config = loadConfig(host, vmid, () => undefined);
  const snapshot = params.get('snapshot');
  const isCurrent = params.get('current') === '1';
  if (snapshot !== undefined && isCurrent) {
    const reason = "cannot use 'snapshot' parameter with 'current'";
    throw new FieldError('400 Parameter verification failed.', { current: reason, snapshot: reason });
  }
  const view = snapshot !== undefined ? requireSnapshot(config, snapshot) : isCurrent ? config : mergedView(config);
  return { ...typed(view.values), ...(view.raw.length > 0 ? { lxc: view.raw } : {}), digest: config.digest };
}

function snapshotConfig(host: Host, vmid: number, name: string): Record<string, unknown> {
  const config = loadConfig(host, vmid, () => undefined);
  return typed(requireSnapshot(config, name).values);
}

/** Integers and booleans are JSON numbers, everything else text (a fractional cpulimit too). */
function typed(values: ReadonlyMap<string, string>): Record<string, string | number> {
  const isNumber = (key: string): boolean =>
    key === 'snaptime' || ['integer', 'boolean'].includes(configProperty(key)?.type ?? '');
  return Object.fromEntries(
    [...values].map(([key, value]) => [key, isNumber(key) && value !== '' ? Number(value) : value]),
  );
}

/** One row per key, as the pending view of the web interface reads it. */
function guestPending(host: Host, vmid: number): unknown[] {
  const config = loadConfig(host, vmid, () => undefined);
  const current = typed(config.values);
  const waiting = typed(new Map([...config.pending.values].filter(([key]) => key !== 'delete')));
  const deleted = pendingDeletes(config);
  const keys = [...new Set([...Object.keys(current), ...Object.keys(waiting)])];
  const rows = keys.map((key) => ({
    key,
    ...(key in current ? { value: current[key] } : {}),
    ...(key in waiting ? { pending: waiting[key] } : {}),
    ...(deleted.has(key) ? { delete: 1 } : {}),
  }));
  return [...rows, { key: 'digest', value: config.digest }];
}
