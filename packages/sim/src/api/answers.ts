/** Answers of the API's reading side, as far as our programs ask for it. Shapes follow pve-manager PVE/API2 and pve-container. */

import { ToolError } from '../call/tool.ts';
import { isQuorate, readCluster, syncCluster } from '../cluster/pmxcfs.ts';
import { loadConfig } from '../guest/config-store.ts';
import { mergedView, pendingDeletes } from '../guest/pending.ts';
import { configProperty } from '../guest/syntax.ts';
import type { Host } from '../host/host.ts';
import { PVE_REPOID, PVE_VERSION } from '../host/version.ts';
import { statusFields } from '../pct/show.ts';
import type { Asked } from './asked.ts';
import { contentAnswer, interfaces, snapshotRows } from './guest-reads.ts';
import { clusterLogRows, firewallOptions, nodeStatus, templateIndex } from './node-answers.ts';
import { repositoryTags } from './registry.ts';
import { nodes, reportingHosts, resources } from './resources.ts';
import { storageConfig, storageConfigs, storageRows, storageStatus } from './storage-reads.ts';
import { clusterTasks, taskLog, taskRows, taskStatus } from './tasks.ts';
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
  [/^nodes\/([^/]+)\/lxc\/(\d+)\/config$/, (host, match) => guestConfig(host, Number(match[2]))],
  [/^nodes\/([^/]+)\/lxc\/(\d+)\/pending$/, (host, match) => guestPending(host, Number(match[2]))],
  [
    /^nodes\/([^/]+)\/lxc\/(\d+)\/status\/current$/,
    (host, match) => ({ ...statusOf(host, Number(match[2])), cpu: 0, ha: { managed: 0 } }),
  ],
  [/^nodes\/([^/]+)\/lxc\/(\d+)\/status$/, (host, match) => powerFolders(host, Number(match[2]))],
  [/^nodes\/([^/]+)\/lxc\/(\d+)\/snapshot$/, (host, match) => snapshotRows(host, Number(match[2]))],
  [/^nodes\/([^/]+)\/qemu$/, (host) => vmRows(host)],
  [
    /^nodes\/([^/]+)\/qemu\/(\d+)\/config$/,
    (host, match, { params }) => vmConfig(host, Number(match[2]), params.get('current') === '1'),
  ],
  [/^nodes\/([^/]+)\/qemu\/(\d+)\/status\/current$/, (host, match) => vmCurrent(host, Number(match[2]))],
  [/^nodes\/([^/]+)\/storage\/([^/]+)\/status$/, (host, match) => storageStatus(host, match[2] ?? '')],
  [/^storage$/, (host, _, { params }) => storageConfigs(host, params.get('type'))],
  [/^storage\/([^/]+)$/, (host, match) => storageConfig(host, match[1] ?? '')],
  [/^cluster\/ha\/resources$/, () => []],
  [/^nodes\/([^/]+)\/tasks$/, (host, _, { params }) => taskRows(host, params)],
  [/^nodes\/([^/]+)\/tasks\/([^/]+)\/status$/, (host, match) => taskStatus(host, decodeURIComponent(match[2] ?? ''))],
  [/^nodes\/([^/]+)\/tasks\/([^/]+)\/log$/, (host, match) => taskLog(host, decodeURIComponent(match[2] ?? ''))],
  [/^nodes\/([^/]+)\/lxc\/(\d+)$/, () => CONTAINER_FOLDERS.map((subdir) => ({ subdir }))],
  [/^nodes\/([^/]+)\/lxc\/(\d+)\/interfaces$/, (host, match) => interfaces(host, Number(match[2]))],
  [
    /^nodes\/([^/]+)\/storage\/([^/]+)\/content$/,
    (host, match, { params }) => contentAnswer(host, match[2] ?? '', params.get('content')),
  ],
];

const CONTAINER_FOLDERS =
  'config pending status vncproxy termproxy vncwebsocket spiceproxy migrate clone rrd rrddata firewall snapshot resize interfaces'.split(
    ' ',
  );

/** undefined: nothing answers that path. */
export async function answerOf(host: Host, path: string, asked: Asked): Promise<unknown> {
  const clean = path.replace(/^\/+|\/+$/g, '');
  for (const [pattern, answer] of ROWS) {
    const match = pattern.exec(clean);
    if (match === null) continue;
    if (clean.startsWith('nodes/') && match[1] !== undefined && match[1] !== host.name) requireNode(host, match[1]);
    if (clean.startsWith('nodes/') && match[1] !== undefined && match[1] !== host.name)
      throw new ToolError('proxy handler failed: Host key verification failed.\n');
    syncCluster(host);
    return answer(host, match, asked);
  }
  return undefined;
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
      throw new ToolError(`400 Parameter verification failed.\nvmid: VM ${asked} already exists\n`);
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

function guestConfig(host: Host, vmid: number): Record<string, unknown> {
  const config = loadConfig(host, vmid, () => undefined);
  const view = mergedView(config);
  return { ...typed(view.values), ...(view.raw.length > 0 ? { lxc: view.raw } : {}), digest: config.digest };
}

/** Integers and booleans are JSON numbers, everything else text (a fractional cpulimit too). */
function typed(values: ReadonlyMap<string, string>): Record<string, string | number> {
  const isNumber = (key: string): boolean => ['integer', 'boolean'].includes(configProperty(key)?.type ?? '');
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

/** pve-container src/PVE/API2/LXC/Status.pm. */
function powerFolders(host: Host, vmid: number): unknown[] {
  loadConfig(host, vmid, () => undefined);
  return ['current', 'start', 'stop', 'shutdown', 'reboot', 'migrate'].map((subdir) => ({ subdir }));
}
