import { FakeClock } from '@pxmgr/kit/clock';
import { describe, expect, it } from 'vitest';
import { hostTree, NodeTree } from '../host/host-tree.fixture.ts';
import { parseRunning, RunState } from './run-state.ts';

const UNIT = '/sys/fs/cgroup/system.slice/system-pve\\x2dcontainer.slice/pve-container@101.service';

describe('who runs', () => {
  it('is told by command sockets; other sockets of LXC do not count', () => {
    const text = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 111 @/var/lib/lxc/101/command
0000000000000000: 00000003 00000000 00000000 0001 03 112 @/var/lib/lxc/101/command
0000000000000000: 00000002 00000000 00010000 0001 01 113 @lxc/ad055575fe28ddd5//var/lib/lxc
0000000000000000: 00000002 00000000 00010000 0001 01 114 /var/run/qemu-server/200.qmp
0000000000000000: 00000002 00000000 00010000 0001 01 115 /run/qemu-server/201.qmp
0000000000000000: 00000002 00000000 00010000 0001 01 116 @/var/lib/lxc/102/command/x
`;
    const { containers, vms } = parseRunning(text);
    expect([[...containers], [...vms]]).toEqual([[101], [200, 201]]);
  });
});

describe('first process of a container', () => {
  const state = (files: Record<string, string>) => new RunState(hostTree(files).paths, new FakeClock());

  it('is found on cgroup v2, where the processes are in ns or below', () => {
    const files = {
      '/sys/fs/cgroup/lxc/101/cgroup.procs': '',
      '/proc/300/status': 'NSpid:\t300\t7\n',
      '/proc/200/status': 'NSpid:\t200\t1\n',
    };
    expect(state({ ...files, '/sys/fs/cgroup/lxc/101/ns/cgroup.procs': '300\n200\n' }).initPid(101)).toBe(200);
    expect(state({ ...files, '/sys/fs/cgroup/lxc/101/ns/init.scope/cgroup.procs': '200\n' }).initPid(101)).toBe(200);
  });

  it('is found on cgroup v1, and without pid namespaces is the first one', () => {
    expect(state({ '/sys/fs/cgroup/memory/lxc/101/cgroup.procs': '55\n56\n' }).initPid(101)).toBe(55);
    expect(state({}).initPid(101)).toBeUndefined();
  });

  it('tells addresses and ports', () => {
    const runState = state({
      '/sys/fs/cgroup/lxc/101/cgroup.procs': '42\n',
      '/proc/42/net/fib_trie': '|-- 192.0.2.7\n   /32 host LOCAL\n',
      '/proc/42/net/tcp': 'head\n 0: 00000000:0050 00000000:0000 0A 0\n',
    });
    expect([runState.addresses(101), runState.listeningPorts(101)]).toEqual([['192.0.2.7/32'], [80]]);
    expect([runState.addresses(102), runState.listeningPorts(102)]).toEqual([[], []]);
  });
});

describe('waitDown', () => {
  it('waits for the socket and then for the unit, whose stop hook still writes the configuration', async () => {
    const clock = new FakeClock();
    const node = new NodeTree().start(101);
    node.tree.folder(UNIT);
    const waiting = new RunState(node.tree.paths, clock).waitDown(101);
    await clock.advance(100);
    node.stop(101);
    await clock.advance(100);
    expect(clock.waiting).toBe(1);
    node.tree.remove(UNIT);
    await clock.advance(20);
    expect(await waiting).toBe(true);
  });

  it('gives up at its limit, and at once on abort', async () => {
    const clock = new FakeClock();
    const runState = new RunState(new NodeTree().start(101).tree.paths, clock);
    const waiting = runState.waitDown(101, undefined, 1000);
    await clock.advance(1000);
    expect(await waiting).toBe(false);
    const stop = new AbortController();
    const aborted = runState.waitDown(101, stop.signal);
    stop.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
  });
});
