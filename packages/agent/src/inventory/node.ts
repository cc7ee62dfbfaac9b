/** The node itself: facts of the machine, its place in the cluster, and which sources failed in the last sweep. */
import type { NodeDocument, SourceFailure } from '@pxmgr/contract/common';
import type { ToolVersions } from '../host/binaries.ts';
import { capabilitiesOf } from '../host/binaries.ts';
import type { Cluster } from '../host/cluster.ts';
import type { NodeFacts } from '../host/facts.ts';
import type { HostPaths } from '../host/paths.ts';
import type { PackageVersions } from '../host/pve-version.ts';
import type { Collector, Observed } from './collector.ts';
import { sortedRecord } from './stable-value.ts';

export interface NodeContext {
  readonly paths: HostPaths;
  readonly cluster: Cluster;
  readonly nodeName: string;
  readonly facts: NodeFacts;
  readonly packages: PackageVersions;
  readonly tools: ToolVersions;
  readonly agentVersion: string;
  readonly agentAddress: string;
  /** Asked at each sweep, after all other kinds. */
  readonly failures: () => readonly SourceFailure[];
  /** Things that work but deserve a look: a degraded pool. */
  readonly notes: () => readonly string[];
}

/** A stand-in host puts lines here to say what it is; Proxmox has no such file. */
const NOTES_FILE = '/etc/pxmgr/notes';

function clusterName(cluster: Cluster): string {
  try {
    return cluster.clusterName();
  } catch {
    // `.members` is unreadable: `quorate` is then false, which says enough.
    return '';
  }
}

export function nodeDocument(context: NodeContext): NodeDocument {
  const { facts, packages, tools } = context;
  const notes = (context.paths.readIfThere(NOTES_FILE) ?? '').split('\n').map((line) => line.trim());
  return {
    name: context.nodeName,
    cluster: clusterName(context.cluster),
    quorate: context.cluster.quorate(),
    pveVersion: packages.get('pve-manager') ?? '',
    kernel: facts.kernel,
    cpuModel: facts.cpuModel,
    cpuCores: facts.cpuCores,
    memoryBytes: facts.memoryBytes,
    agentVersion: context.agentVersion,
    architecture: facts.architecture,
    capabilities: capabilitiesOf(tools, packages),
    tools: sortedRecord(Object.entries(tools)),
    agentAddress: context.agentAddress,
    failures: [...context.failures()],
    notes: [...notes.filter((line) => line !== ''), ...context.notes()],
    systemModel: facts.systemModel,
  };
}

export function nodeCollector(context: NodeContext): Collector {
  return {
    kind: 'node',
    collect: () => {
      const observed: Observed = {
        id: context.nodeName,
        document: { document: { $case: 'node', value: nodeDocument(context) } },
      };
      return Promise.resolve([observed]);
    },
  };
}
