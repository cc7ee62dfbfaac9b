import { ContainerDocument } from '@pxmgr/contract/common';
import { FakeClock } from '@pxmgr/kit/clock';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RunState } from '../guest/run-state.ts';
import { NodeTree } from '../host/host-tree.fixture.ts';
import type { Collector } from '../inventory/collector.ts';
import type { GuestChange } from '../inventory/guests.ts';
import { Causes } from './causes.ts';
import { InventoryFeed } from './changes.ts';
import { until } from './nats.fixture.ts';
import { Outbox } from './outbox.ts';
import { Timers } from './timers.ts';
import { View } from './view.ts';
import { HostWatcher } from './watch.ts';

function watch(node: NodeTree, oneGuest: () => GuestChange[] = () => [], slow: Collector[] = []) {
  const clock = new FakeClock();
  const logger = silentLogger();
  const { paths, root } = node.tree;
  const outbox = Outbox.open(`${root}/state/outbox`);
  const feed = new InventoryFeed({
    collectors: [
      ...(['container', 'vm'] as const).map((kind) => ({ kind, collect: () => Promise.resolve([]) })),
      ...slow,
    ],
    oneGuest,
    view: new View(),
    outbox,
    causes: new Causes(clock, () => []),
    clock,
    logger,
  });
  let gpuChanged = false;
  const watcher = new HostWatcher({
    paths,
    nodeName: 'pve1',
    runState: new RunState(paths, clock),
    feed,
    templateFolders: () => ['/var/lib/vz/template/cache'],
    hasGpuChanged: () => gpuChanged,
    beforeFullLook: () => undefined,
    pollMs: 200,
    clock,
    logger,
  });
  const stop = new AbortController();
  stop.abort();
  onTestFinished(() => watcher.run(stop.signal));
  const look = () => {
    const { kinds, guests } = watcher.look();
    return { kinds: [...kinds].sort(), guests: [...guests].sort() };
  };
  return {
    clock,
    feed,
    outbox,
    watcher,
    look,
    plugGpu: () => {
      gpuChanged = true;
    },
  };
}

describe('HostWatcher', () => {
  it('says everything first, then nothing until something happens', () => {
    const { look } = watch(new NodeTree().guest(101, 'arch: amd64\n').start(101));
    expect(look().kinds).toHaveLength(10);
    expect(look()).toEqual({ kinds: [], guests: [] });
  });

  it('names the guest whose configuration was written, made or removed', () => {
    const node = new NodeTree().guest(101, 'a: 1\n').guest(102, 'a: 1\n');
    const { look } = watch(node);
    look();
    node.guest(101, 'a: 2\n');
    expect(look()).toEqual({ kinds: ['gpu'], guests: [101] });
    node.guest(103, 'a: 1\n').destroy(102);
    expect(look().guests).toEqual([102, 103]);
  });

  it('reads the list of guests again while it does not show what its counter tells', () => {
    const node = new NodeTree().guest(101, 'a: 1\n');
    const { look } = watch(node);
    look();
    const stale = node.tree.paths.read('/etc/pve/.vmlist');
    node.guest(101, 'a: 2\n');
    const fresh = node.tree.paths.read('/etc/pve/.vmlist');
    node.tree.write('/etc/pve/.vmlist', stale);
    expect(look().guests).toEqual([]);
    node.tree.write('/etc/pve/.vmlist', fresh);
    expect(look().guests).toEqual([101]);
    expect(look().guests).toEqual([]);
  });

  it('asks again within a second for a guest that had changed and could not be read', async () => {
    const node = new NodeTree().guest(101, 'a: 1\n');
    let isReadable = false;
    const { look, watcher, clock, feed } = watch(node, () => {
      if (!isReadable) throw new Error('EIO: i/o error, read');
      return [];
    });
    await feed.refresh(watcher.look());
    await feed.refresh({ kinds: new Set(), guests: new Set([101]) });
    await clock.advance(1_000);
    expect(look().guests).toEqual([101]);
    isReadable = true;
    await feed.refresh({ kinds: new Set(), guests: new Set([101]) });
    await clock.advance(1_000);
    expect(look().guests).toEqual([]);
    expect(feed.failures()).toEqual([]);
  });

  it('tells of a guest at once while a pool keeps everything else waiting', async () => {
    const node = new NodeTree().guest(101, 'a: 1\n');
    const document = { document: { $case: 'container' as const, value: ContainerDocument.create({ vmid: 101 }) } };
    const change: GuestChange = { kind: 'container', id: '101', observed: { id: '101', document } };
    let answer: () => void = () => undefined;
    const answersLate: Collector = {
      kind: 'dataset',
      collect: () =>
        new Promise((resolve) => {
          answer = () => {
            resolve([]);
          };
        }),
    };
    const { watcher, feed, outbox, clock } = watch(node, () => [change], [answersLate]);
    void watcher.run(new AbortController().signal);
    await until('guests are known', () => Promise.resolve(feed.areGuestsKnown || undefined));
    node.guest(101, 'a: 2\n');
    await clock.advance(200);
    expect(outbox.pending().map(({ kind, id }) => `${kind} ${id}`)).toEqual(['container 101']);
    answer();
  });

  it('names the guest that started or stopped, and looks again for its address while it is young', async () => {
    const node = new NodeTree().guest(101, 'a: 1\n');
    const { look, clock } = watch(node);
    look();
    node.start(101);
    expect(look().guests).toEqual([101]);
    await clock.advance(1_000);
    expect(look().guests).toEqual([101]);
    expect(look().guests).toEqual([]);
    node.stop(101);
    expect(look().guests).toEqual([101]);
    await clock.advance(1_000);
    expect(look().guests).toEqual([]);
  });

  it('drops everything when the cluster file system has begun anew', () => {
    const node = new NodeTree().guest(101, 'a: 1\n');
    const { look } = watch(node);
    look();
    node.restartClusterFileSystem();
    expect(look().kinds).toHaveLength(10);
  });

  it('reports the cluster file system once when it is away, and looks at all when it is back', () => {
    const node = new NodeTree().guest(101, 'a: 1\n');
    const { look, feed } = watch(node);
    look();
    node.tree.remove('/etc/pve/.version');
    expect(look()).toEqual({ kinds: [], guests: [] });
    expect(feed.failures()).toMatchObject([{ source: '/etc/pve' }]);
    node.tree.write('/etc/pve/.version', '{"starttime": 1');
    look();
    expect(feed.failures()).toHaveLength(1);
    node.guest(101, 'a: 2\n');
    expect(look().kinds).toHaveLength(10);
    expect(feed.failures()).toEqual([]);
  });

  it('hears of everything else while the list of tasks or of sockets cannot be read, and reads it when it can', () => {
    const node = new NodeTree().guest(101, 'a: 1\n');
    const { look, feed } = watch(node);
    look();
    const tasks = '/var/log/pve/tasks/active';
    const sockets = node.tree.paths.read('/proc/net/unix');
    node.guest(101, 'a: 2\n');
    node.tree.write(
      '/etc/pve/.version',
      '{"starttime": 1700000000, "vmlist": 3, "storage.cfg": 1, "kvstore": {"pve1": {"tasklist": 9}}}',
    );
    for (const path of [tasks, '/proc/net/unix']) {
      node.tree.remove(path);
      node.tree.write(`${path}/folder`, '');
    }
    feed.touch(['image']);
    expect(look()).toEqual({ kinds: ['gpu', 'image'], guests: [101] });
    expect(feed.failures()).toMatchObject([{ source: '/proc/net/unix' }, { source: '/var/log/pve/tasks' }]);
    for (const path of [tasks, '/proc/net/unix']) node.tree.remove(path);
    node.tree.write('/proc/net/unix', sockets);
    node.tree.write(tasks, 'UPID:pve1:0001A100:004C0000:6A86E900:vzstart:105:root@pam: 1 6A86E950 OK\n');
    expect(look().guests).toEqual([105]);
    expect(feed.failures()).toEqual([]);
  });

  it('looks at storages after a task that may have filled them, twice, since ZFS is late', async () => {
    const node = new NodeTree().guest(105, 'a: 1\n');
    const { look, clock } = watch(node);
    look();
    node.tree.write(
      '/var/log/pve/tasks/active',
      'UPID:pve1:0001A100:004C0000:6A86E900:vzcreate:105:root@pam: 1 6A86E950 OK\n',
    );
    node.tree.write(
      '/etc/pve/.version',
      '{"starttime": 1700000000, "vmlist": 2, "storage.cfg": 1, "kvstore": {"pve1": {"tasklist": 9}}}',
    );
    expect(look()).toEqual({ kinds: ['gpu'], guests: [105] });
    for (const ms of [500, 6_500]) {
      await clock.advance(ms);
      expect(look().kinds).toEqual(['dataset', 'storage', 'template']);
    }
    expect(look().kinds).toEqual([]);
  });

  it('looks at templates when somebody puts a file into their folder', async () => {
    const node = new NodeTree();
    node.tree.write('/var/lib/vz/template/cache/old.tar', '');
    const { look, clock } = watch(node);
    look();
    look();
    node.tree.write('/var/lib/vz/template/cache/new.tar', 'x');
    const kinds = await until('the file is noticed', async () => {
      await clock.advance(500);
      return look().kinds.find((kind) => kind === 'template');
    });
    expect(kinds).toBe('template');
    expect(clock.monotonicMs()).toBeLessThan(300_000);
  });

  it('looks at templates also while a file there grows all the time', async () => {
    const clock = new FakeClock();
    const timers = new Timers(clock);
    timers.due();
    const looks: number[] = [];
    for (let ms = 0; ms < 2_000; ms += 200) {
      timers.soon(['template']);
      await clock.advance(200);
      if (timers.due().has('template')) looks.push(ms + 200);
    }
    expect(looks).toEqual([600, 1200, 1800]);
  });

  it('follows touches, timers and new GPUs', async () => {
    const { look, clock, feed, plugGpu } = watch(new NodeTree());
    look();
    feed.touch(['image'], 101);
    expect(look()).toEqual({ kinds: ['gpu', 'image'], guests: [101] });
    await clock.advance(30_000);
    expect(look().kinds).toEqual(['container', 'network', 'usb']);
    plugGpu();
    await clock.advance(30_000);
    expect(look().kinds).toEqual(['container', 'dataset', 'gpu', 'network', 'node', 'storage', 'usb']);
    await clock.advance(600_000);
    expect(look().kinds).toHaveLength(10);
  });
});
