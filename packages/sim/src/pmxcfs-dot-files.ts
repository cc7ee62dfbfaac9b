/** Texts of the dot files, laid out as pve-cluster src/pmxcfs/status.c prints them. */

import { join } from 'node:path';
import type { ClusterState, Member } from './pmxcfs-state.ts';
import { readJson } from './sim-file.ts';

/** Files whose changes have a counter of their own in .version (pve-cluster src/pmxcfs/status.c). */
export const WATCHED_FILES = [
  'corosync.conf',
  'corosync.conf.new',
  'storage.cfg',
  'user.cfg',
  'domains.cfg',
  'notifications.cfg',
  'priv/notifications.cfg',
  'priv/shadow.cfg',
  'priv/acme/plugins.cfg',
  'priv/tfa.cfg',
  'priv/token.cfg',
  'priv/wg-keys.cfg',
  'datacenter.cfg',
  'vzdump.cron',
  'vzdump.conf',
  'jobs.cfg',
  'ha/crm_commands',
  'ha/manager_status',
  'ha/resources.cfg',
  'ha/rules.cfg',
  'ha/groups.cfg',
  'ha/fence.cfg',
  'status.cfg',
  'replication.cfg',
  'ceph.conf',
  'sdn/vnets.cfg',
  'sdn/zones.cfg',
  'sdn/controllers.cfg',
  'sdn/subnets.cfg',
  'sdn/ipams.cfg',
  'sdn/mac-cache.json',
  'sdn/pve-ipam-state.json',
  'sdn/dns.cfg',
  'sdn/fabrics.cfg',
  'sdn/route-maps.cfg',
  'sdn/prefix-lists.cfg',
  'sdn/.running-config',
  'virtual-guest/cpu-models.conf',
  'virtual-guest/profiles.cfg',
  'firewall/cluster.fw',
  'mapping/directory.cfg',
  'mapping/pci.cfg',
  'mapping/usb.cfg',
] as const;

export function versionText(state: ClusterState, member: Member): string {
  const files = WATCHED_FILES.map((file) => `"${file}": ${state.files[file] ?? 1},\n`).join('');
  const nodes = Object.keys(state.members).map(
    (node) => `"${node}": {\n"tasklist": ${state.tasklist[node] ?? 1},\n"static-info": 1,\n"version-info": 1}\n`,
  );
  return `{\n"starttime": ${member.startTime},\n"clinfo": ${state.clinfo},\n"vmlist": ${state.vmlist},\n${files}"kvstore": {\n${nodes.join(',\n')}}\n}\n`;
}

export function vmlistText(state: ClusterState): string {
  const ids = Object.entries(state.guests).map(
    ([vmid, g]) => `"${vmid}": { "node": "${g.node}", "type": "${g.type}", "version": ${g.version} }`,
  );
  if (ids.length === 0) return `{\n"version": ${state.vmlist}\n}\n`;
  return `{\n"version": ${state.vmlist},\n"ids": {\n${ids.join(',\n')}}\n\n}\n`;
}

export function membersText(state: ClusterState, self: string): string {
  if (state.clusterName === '') return `{\n"nodename": "${self}",\n"version": 0\n}\n`;
  const root = state.members[self]?.root ?? '';
  const isCut = readJson<{ noQuorum?: boolean }>(join(root, '.sim', 'switches.json'))?.noQuorum === true;
  const nodes = Object.entries(state.members).map(
    ([name, m]) =>
      `  "${name}": { "id": ${m.id}, "online": ${m.online && (!isCut || name === self) ? 1 : 0}, "ip": "${m.ip}"}`,
  );
  const cluster = `{ "name": "${state.clusterName}", "version": ${nodes.length}, "nodes": ${nodes.length}, "quorate": ${isCut ? 0 : 1} }`;
  return `{\n"nodename": "${self}",\n"version": ${state.clinfo},\n"cluster": ${cluster},\n"nodelist": {\n${nodes.join(',\n')}\n  }\n}\n`;
}
