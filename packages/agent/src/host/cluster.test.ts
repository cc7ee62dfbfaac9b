import { describe, expect, it } from 'vitest';
import { Cluster } from './cluster.ts';
import { fixture } from './fixture-file.fixture.ts';
import { hostTree } from './host-tree.fixture.ts';

function clusterOf(members: string): Cluster {
  return new Cluster(hostTree({ '/etc/pve/.members': members }).paths);
}

describe('Cluster', () => {
  it('knows a member of a quorate cluster', () => {
    const cluster = clusterOf(fixture('pve-cluster-9.1/members.json'));
    expect([cluster.nodeName(), cluster.clusterName(), cluster.quorate(), cluster.memberNames()]).toEqual([
      'pve1',
      'lab',
      true,
      ['pve1', 'pve2', 'pve3'],
    ]);
  });

  it('counts a standalone node as quorate', () => {
    const cluster = clusterOf(fixture('pve-cluster-9.1/members-standalone.json'));
    expect([cluster.nodeName(), cluster.clusterName(), cluster.quorate(), cluster.memberNames()]).toEqual([
      'pve1',
      '',
      true,
      ['pve1'],
    ]);
  });

  it('refuses writes without quorum and without a cluster file system', () => {
    const cut = clusterOf(fixture('pve-cluster-9.1/members.json').replace('"quorate": 1', '"quorate": 0'));
    expect(() => cut.requireQuorum()).toThrow(
      expect.objectContaining({ code: 'PXM_NO_QUORUM', fields: { node: 'pve1' } }),
    );
    const down = new Cluster(hostTree({ '/etc/hostname': 'pve7.example.org\n' }).paths);
    expect([down.quorate(), down.nodeName()]).toEqual([false, 'pve7']);
    expect(() => cut.requireFiles()).not.toThrow();
    expect(() => down.requireFiles()).toThrow(
      expect.objectContaining({ code: 'PXM_NO_QUORUM', fields: { node: 'pve7' } }),
    );
  });

  it('takes the link when .members is away, and the configured name before all', () => {
    const tree = hostTree().link('/etc/pve/local', 'nodes/pve4');
    expect(new Cluster(tree.paths).nodeName()).toBe('pve4');
    expect(new Cluster(tree.paths, 'other').nodeName()).toBe('other');
  });
});
