/** What the cluster file system keeps for all nodes, as the API tells it: pools, options, resources of high availability. */
import { createHash } from 'node:crypto';
import { ToolError } from '../call/tool.ts';
import { isQuorate, readPveFile } from '../cluster/pmxcfs.ts';
import { haResources } from '../guest/ha.ts';
import { poolsOf } from '../guest/pools.ts';
import type { Host } from '../host/host.ts';

type Row = Record<string, unknown>;

/** pve-manager PVE/API2/Pool.pm. */
export function poolRows(host: Host): Row[] {
  return poolsOf(host).map(({ name, comment }) => ({ poolid: name, ...(comment === '' ? {} : { comment }) }));
}

/** pve-manager PVE/API2/Cluster.pm get_options, for a datacenter.cfg without property strings. */
export function clusterOptions(host: Host): Row {
  const lines = [...(readPveFile(host, 'datacenter.cfg') ?? '').matchAll(/^([a-z][a-z0-9_-]*):[ \t]*(\S.*)$/gim)];
  return { ...Object.fromEntries(lines.map(([, key = '', value = '']) => [key, value])), 'allowed-tags': [] };
}

/** pve-ha-manager src/PVE/API2/HA/Resources.pm. */
export function resourceRows(host: Host): Row[] {
  const digest = createHash('sha1')
    .update(readPveFile(host, 'ha/resources.cfg') ?? '')
    .digest('hex');
  return haResources(host).map(({ sid, options }) => ({
    ...Object.fromEntries(options),
    digest,
    sid,
    type: sid.replace(/:.*$/, ''),
  }));
}

/** A bare number means the guest with that id, a VM where there is none. */
export function resourceRow(host: Host, given: string): Row {
  const known = haResources(host).map(({ sid }) => sid);
  const sid = /^\d+$/.test(given) ? (known.find((one) => one.endsWith(`:${given}`)) ?? `vm:${given}`) : given;
  const row = resourceRows(host).find((one) => one['sid'] === sid);
  if (row === undefined) throw new ToolError(`no such resource '${sid}'\n`);
  return row;
}

/** pve-ha-manager src/PVE/API2/HA/Status.pm, for a cluster whose managers never ran. */
export function haStatus(host: Host): Row[] {
  const isWhole = isQuorate(host);
  const node = host.name;
  const quorum = isWhole ? 'OK' : `No quorum on node '${node}'!`;
  return [
    { id: 'quorum', type: 'quorum', node, status: quorum, quorate: isWhole ? 1 : 0 },
    { id: 'fencing', type: 'fencing', node, status: 'standby (CRM watchdog standby)', 'armed-state': 'standby' },
  ];
}
