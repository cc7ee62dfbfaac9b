import { FakeClock } from '@pxmgr/kit/clock';
import { describe, expect, it } from 'vitest';
import { NodeTree } from '../host/host-tree.fixture.ts';
import { GuestList } from './guest-list.ts';
import { RunState } from './run-state.ts';

describe('GuestList', () => {
  const listOf = ({ tree }: NodeTree) => new GuestList(tree.paths, 'pve1', new RunState(tree.paths, new FakeClock()));

  it('lists the guests of this node of both kinds', () => {
    const node = new NodeTree().guest(101, 'hostname: a\n').guest(200, 'name: b\n', 'qemu').start(101);
    expect(
      listOf(node)
        .list()
        .map((guest) => [guest.vmid, guest.kind, guest.isRunning]),
    ).toEqual([
      [101, 'container', true],
      [200, 'vm', false],
    ]);
    expect(listOf(node).get(200)?.config.entries.get('name')).toBe('b');
    expect(listOf(node).get(999)).toBeUndefined();
  });

  it('leaves out a guest whose file is gone, and throws when the cluster file system is', () => {
    const node = new NodeTree().guest(101, 'hostname: a\n');
    node.tree.remove('/etc/pve/nodes/pve1/lxc/101.conf');
    expect(listOf(node).list()).toEqual([]);
    node.tree.remove('/etc/pve/.vmlist');
    expect(() => listOf(node).list()).toThrow('ENOENT');
  });
});
