/** The record of one cluster directory: read, changed under its lock, and shown in the dot files of its online members. */
import { join } from 'node:path';
import { readJson, readText, writeFileAtomicSync } from '../file/sim-file.ts';
import { withSimLock } from '../file/sim-lock.ts';
import { membersText, versionText, vmlistText } from './dot-files.ts';
import { type ClusterState, freshState } from './state.ts';

export function recordIn(directory: string): ClusterState | undefined {
  return readJson<ClusterState>(join(directory, '.sim', 'pmxcfs.json'));
}

export function changeClusterIn<T>(directory: string, change: (state: ClusterState) => T): T {
  return withSimLock(join(directory, '.sim', 'lock'), () => {
    const state = recordIn(directory) ?? freshState();
    const before = JSON.stringify(state);
    const result = change(state);
    const after = JSON.stringify(state);
    if (after !== before) {
      writeFileAtomicSync(join(directory, '.sim', 'pmxcfs.json'), after);
      writeDotFiles(state);
    }
    return result;
  });
}

function writeDotFiles(state: ClusterState): void {
  const log = `{\n"data": [\n${state.log.map((entry) => JSON.stringify(entry)).join(',\n')}\n]\n}\n`;
  for (const [name, member] of Object.entries(state.members)) {
    if (!member.online) continue;
    const put = (file: string, text: string): void => {
      const path = join(member.root, 'etc/pve', file);
      if (readText(path) !== text) writeFileAtomicSync(path, text, 0o440);
    };
    try {
      put('.vmlist', vmlistText(state, member.view));
      put('.members', membersText(state, name));
      put('.clusterlog', log);
      // Upstream counts and changes under one mutex: whoever sees a counter must find what it counts.
      put('.version', versionText(state, name));
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code !== 'ENOENT') throw err; // that node's directory is gone
    }
  }
}
