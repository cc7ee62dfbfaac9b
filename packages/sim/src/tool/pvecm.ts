/** `pvecm status|nodes` (pve-cluster src/PVE/CLI/pvecm.pm; what they print is corosync-quorumtool's); nothing is changed here. */

import { type Tool, ToolError } from '../call/tool.ts';
import { isQuorate, readCluster } from '../cluster/pmxcfs.ts';
import type { ClusterState } from '../cluster/state.ts';
import type { VerbHandler } from '../pct/context.ts';
import { runCommands } from './run-commands.ts';

/** corosync-quorumtool's status for a cluster without quorum. */
const NOT_QUORATE = 2;

function titled(title: string): string {
  return `${title}\n${'-'.repeat(title.length)}\n`;
}

function fields(rows: readonly (readonly [string, string])[]): string {
  return rows.map(([name, value]) => `${`${name}:`.padEnd(18)}${value}\n`).join('');
}

function requireCluster({ clusterName }: ClusterState): void {
  if (clusterName !== '') return;
  const reason = "Corosync config '/etc/pve/corosync.conf' does not exist - is this node part of a cluster?";
  throw new ToolError(`Error: ${reason}\n`);
}

const nodeId = (id: number): string => `0x${id.toString(16).padStart(8, '0')}`;

const status: VerbHandler = async ({ host, io }) => {
  const state = readCluster(host);
  requireCluster(state);
  const isWhole = isQuorate(host);
  const all = Object.entries(state.members);
  const seen = all.filter(([name, member]) => name === host.name || member.online);
  const needed = Math.floor(all.length / 2) + 1;
  const own = state.members[host.name]?.id ?? 0;
  const parts = [
    titled('Cluster information') +
      fields([
        ['Name', state.clusterName],
        ['Config Version', String(all.length)],
        ['Transport', 'knet'],
        ['Secure auth', 'on'],
      ]),
    titled('Quorum information') +
      fields([
        ['Date', new Date().toUTCString().replace(/^(\w+), (\d+) (\w+) (\d+) ([\d:]+) GMT$/, '$1 $3 $2 $5 $4')],
        ['Quorum provider', 'corosync_votequorum'],
        ['Nodes', String(seen.length)],
        ['Node ID', nodeId(own)],
        ['Ring ID', `${Math.min(...seen.map(([, member]) => member.id))}.${state.clinfo}`],
        ['Quorate', isWhole ? 'Yes' : 'No'],
      ]),
    titled('Votequorum information') +
      fields([
        ['Expected votes', String(all.length)],
        ['Highest expected', String(all.length)],
        ['Total votes', String(seen.length)],
        ['Quorum', `${needed} ${isWhole ? ' ' : 'Activity blocked'}`],
        ['Flags', isWhole ? 'Quorate ' : ''],
      ]),
    titled('Membership information') +
      '    Nodeid      Votes Name\n' +
      seen
        .map(([name, { id, ip }]) => `${nodeId(id)}          1 ${ip}${name === host.name ? ' (local)' : ''}\n`)
        .join(''),
  ];
  io.out(parts.join('\n'));
  return isWhole ? 0 : NOT_QUORATE;
};

const nodes: VerbHandler = async ({ host, io }) => {
  const state = readCluster(host);
  requireCluster(state);
  const rows = Object.entries(state.members)
    .filter(([name, member]) => name === host.name || member.online)
    .map(([name, { id }]) => `${String(id).padStart(10)}          1 ${name}${name === host.name ? ' (local)' : ''}\n`);
  io.out(`\n${titled('Membership information')}    Nodeid      Votes Name\n${rows.join('')}`);
  return isQuorate(host) ? 0 : NOT_QUORATE;
};

export const pvecm: Tool = (host, argv, io) =>
  runCommands({ tool: 'pvecm', host, argv, io, verbs: { status: async () => status, nodes: async () => nodes } });
