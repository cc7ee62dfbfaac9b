import { type Operation, OperationState } from '@pxmgr/contract/common';
import type { Command } from '@pxmgr/kit/exec/command';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recoverAll } from '../../operation/recover.ts';
import { type FixtureHost, makeHost, specOf, UID } from '../host.fixture.ts';
import {
  CREATE_REQUEST,
  dropVolume,
  goodCreate,
  goodDestroy,
  isCreate,
  isDestroy,
  putVolume,
} from './create.fixture.ts';
import { createContainer } from './create.ts';
import { createRecovery } from './undo-create.ts';

let host: FixtureHost;
beforeEach(async () => {
  host = await makeHost();
});
afterEach(() => {
  host.remove();
});

describe('recovery of a create that the agent did not live to end', () => {
  /** Runs until pct hangs, then pretends that the process died there: a new store reads the journal. */
  async function dieIn(effect: (command: Command) => void): Promise<Operation> {
    const hang = new Promise<never>(() => undefined);
    let reached: () => void = () => undefined;
    const isThere = new Promise<void>((resolve) => {
      reached = resolve;
    });
    host.runner.expect(isCreate, {
      effect: (command) => {
        effect(command);
        reached();
      },
      wait: hang,
    });
    const dead = host.newStore();
    await dead.start(CREATE_REQUEST, (work) =>
      createContainer(host.parts, { vmid: 101, guestUid: UID, spec: specOf() }, work),
    );
    await isThere;
    const store = host.newStore();
    const unfinished = await store.load();
    expect(unfinished).toHaveLength(1);
    await recoverAll(store, unfinished, new Map([['container.create', createRecovery(host.parts)]]));
    return store.get(unfinished[0]!.operation.id);
  }

  it('nothing was made: undone', async () => {
    expect(await dieIn(() => undefined)).toMatchObject({
      state: OperationState.OPERATION_STATE_FAILED,
      recovery: 'undone',
      problem: { code: 'PXM_INTERRUPTED' },
    });
  });

  it('half made on a node that has lost quorum: waits for it, and touches nothing before', async () => {
    const runWithQuorum: boolean[] = [];
    const note = (): void => {
      runWithQuorum.push(host.parts.cluster.quorate());
    };
    host.runner.expect('pct unlock 101', { effect: note });
    // Lost once more while the undo is at work: its first try fails, and is no end.
    host.runner.expect(isDestroy, {
      exit: 255,
      stderr: "unable to open file '/etc/pve/nodes/pve1/lxc/101.conf.tmp.1' - Permission denied\n",
      effect: () => {
        note();
        host.loseQuorum();
      },
    });
    host.runner.expect('pct unlock 101', { effect: note });
    host.runner.expect(isDestroy, {
      effect: () => {
        note();
        host.dropGuest(101);
      },
    });
    const operation = await dieIn(() => {
      host.putGuest(101, 'lock: create\n');
      host.loseQuorum();
    });
    expect(operation).toMatchObject({ state: OperationState.OPERATION_STATE_FAILED, recovery: 'undone' });
    expect(operation.warnings).toContainEqual(expect.stringContaining('no quorum'));
    expect(runWithQuorum).toEqual([true, true, true, true]);
    expect(host.parts.files.text(101)).toBeUndefined();
  });

  it('half made: unlocked, destroyed, volumes freed', async () => {
    host.runner.expect('pct unlock 101');
    host.runner.expect(isDestroy, {
      effect: () => {
        host.dropGuest(101);
      },
    });
    host.runner.expect('pvesm free local:101/vm-101-disk-0.raw', {
      effect: () => {
        dropVolume(host, 'vm-101-disk-0.raw');
      },
    });
    const operation = await dieIn(() => {
      host.putGuest(101, 'lock: create\n');
      putVolume(host, 'vm-101-disk-0.raw');
    });
    expect(operation.recovery).toBe('undone');
    expect(host.parts.files.text(101)).toBeUndefined();
    host.runner.assertDone();
  });

  it.each([
    ['at its end', 'lock: destroyed\n', ['pct unlock 101']],
    ['after it had unlocked what pct left', '', []],
  ])('its own undo was killed %s: what is left is destroyed', async (_when, text, first) => {
    for (const command of first) host.runner.expect(command);
    host.runner.expect(isDestroy, { effect: goodDestroy(host) });
    const operation = await dieIn(() => {
      host.putGuest(101, text);
    });
    expect(operation.recovery).toBe('undone');
    expect(host.parts.files.text(101)).toBeUndefined();
    host.runner.assertDone();
  });

  it('takes only what the create made: nothing else under the id, and nothing of a guest that came meanwhile', async () => {
    host.runner.expect('pct unlock 101');
    host.runner.expect('pct destroy 101 --destroy-unreferenced-disks 0 --purge 0', {
      effect: () => {
        host.dropGuest(101);
        putVolume(host, 'vm-101-disk-1.raw');
        host.putGuest(101, 'hostname: theirs\nrootfs: local:101/vm-101-disk-1.raw\n');
      },
    });
    const operation = await dieIn(() => {
      host.putGuest(101, 'lock: create\n');
      putVolume(host, 'vm-101-disk-0.raw');
    });
    // The judge sees a configuration where there should be none: it says so rather than going on.
    expect(operation.problem?.code).toBe('PXM_UNDO_INCOMPLETE');
    expect(host.runner.calls.filter((call) => call.file === 'pvesm')).toEqual([]);
    expect(host.parts.files.text(101)).toContain('theirs');
    host.runner.assertDone();
  });

  it('created but not marked: known by its tag, destroyed', async () => {
    host.runner.expect(isDestroy, { effect: goodDestroy(host) });
    expect((await dieIn(goodCreate(host))).recovery).toBe('undone');
    expect(host.parts.files.text(101)).toBeUndefined();
  });

  describe('the others removed the stub and gave its id to another container, while the node was away', () => {
    const VOLUME = 'vm-101-disk-0.raw';
    const theirs = (config: string) => () => {
      putVolume(host, VOLUME);
      host.write('etc/pve/.vmlist', '{"version":9,"ids":{"101":{"node":"pve2","type":"lxc","version":9}}}');
      host.write('etc/pve/nodes/pve2/lxc/101.conf', config);
    };

    it('the volume that nobody names is freed', async () => {
      host.runner.expect(`pvesm free local:101/${VOLUME}`, {
        effect: () => {
          dropVolume(host, VOLUME);
        },
      });
      const operation = await dieIn(theirs('hostname: theirs\nrootfs: other:101/vm-101-disk-0.raw\n'));
      expect(operation).toMatchObject({ recovery: 'undone', warnings: [] });
      host.runner.assertDone();
    });

    it.each([
      {
        what: 'names one like it',
        config: `rootfs: local:101/${VOLUME}\n`,
        reason: 'the configuration of 101 names one like it',
      },
      {
        what: 'is being moved',
        config: 'lock: migrate\nrootfs: other:101/x.raw\n',
        reason: 'something is under way with it',
      },
      {
        what: 'is replicated',
        config: 'rootfs: other:101/x.raw\n',
        replication: 'local: 101-0\n\ttarget pve1\n',
        reason: 'is replicated',
      },
    ])('one that $what keeps it, and it is told', async ({ config, replication = '', reason }) => {
      host.write('etc/pve/replication.cfg', replication);
      const { recovery, warnings } = await dieIn(theirs(config));
      expect(recovery).toBe('undone');
      expect(warnings).toEqual([
        `volume local:101/${VOLUME} on pve1 may be left of what was interrupted: container 101 is on pve2 by now, and ${reason}; if nothing uses it there, remove it with "pvesm free local:101/${VOLUME}"`,
      ]);
      expect(host.runner.calls.filter((call) => call.file === 'pvesm')).toEqual([]);
    });
  });

  describe.each([
    ['container', 'lxc', 'rootfs: local:101/vm-101-disk-1.raw,size=4G\n'],
    ['VM', 'qemu', 'scsi0: local:101/vm-101-disk-1.raw,size=4G\n'],
  ])('somebody gave its id to a %s on this node', (what, type, config) => {
    it('its volumes are no matter, and the one that it does not name is told and kept', async () => {
      const operation = await dieIn(() => {
        for (const volume of ['vm-101-disk-0.raw', 'vm-101-disk-1.raw', 'vm-101-disk-10.raw']) putVolume(host, volume);
        host.write('etc/pve/.vmlist', `{"version":9,"ids":{"101":{"node":"pve1","type":"${type}","version":9}}}`);
        const folder = type === 'lxc' ? 'lxc' : 'qemu-server';
        host.write(
          `etc/pve/nodes/pve1/${folder}/101.conf`,
          `name: theirs\n${config}unused0: local:101/vm-101-disk-10.raw\n`,
        );
      });
      expect(operation).toMatchObject({
        recovery: 'undone',
        warnings: [
          `volume local:101/vm-101-disk-0.raw on pve1 may be left of what was interrupted: ${what} 101 is on pve1 by now, and does not name it; if nothing uses it there, remove it with "pvesm free local:101/vm-101-disk-0.raw"`,
        ],
      });
      expect(host.runner.calls.filter((call) => call.file === 'pvesm')).toEqual([]);
    });
  });

  const theirsElsewhere = (): void => {
    host.write('etc/pve/.vmlist', '{"version":9,"ids":{"101":{"node":"pve2","type":"lxc","version":9}}}');
    host.write('etc/pve/nodes/pve2/lxc/101.conf', 'hostname: theirs\n');
  };

  it.each([
    ['the stub', () => undefined],
    ['somebody else has its id', theirsElsewhere],
  ])('frees each volume only with quorum, where %s is gone', async (_what, put) => {
    const runWithQuorum: boolean[] = [];
    for (const volume of ['vm-101-disk-0.raw', 'vm-101-disk-1.raw'])
      host.runner.expect(`pvesm free local:101/${volume}`, {
        effect: () => {
          dropVolume(host, volume);
          runWithQuorum.push(host.parts.cluster.quorate());
          host.loseQuorum();
        },
      });
    const operation = await dieIn(() => {
      putVolume(host, 'vm-101-disk-0.raw');
      putVolume(host, 'vm-101-disk-1.raw');
      put();
    });
    expect(operation).toMatchObject({ recovery: 'undone' });
    expect(runWithQuorum).toEqual([true, true]);
    host.runner.assertDone();
  });

  it.each([
    ['whole', ['container.create', 'container.edit'], { recovery: 'resumed' }],
    ['not whole', ['container.create'], { problem: { code: 'PXM_UNDO_INCOMPLETE' } }],
  ])('%s, and moved to another node since', async (_what, effects, end) => {
    const data = { vmid: '101', guestUid: UID, operationTag: 'op-x', storages: 'local' };
    const isBegun = new Promise<void>((reached) => {
      void host.newStore().start(CREATE_REQUEST, async (work) => {
        for (const name of effects) await work.effect({ name, data }, () => Promise.resolve());
        reached();
        await new Promise(() => undefined);
      });
    });
    await isBegun;
    theirsElsewhere();
    host.write('etc/pve/nodes/pve2/lxc/101.conf', `hostname: web\nlxc.environment.hooks: PXMGR_GUEST=${UID}\n`);
    const store = host.newStore();
    await recoverAll(store, await store.load(), new Map([['container.create', createRecovery(host.parts)]]));
    expect(store.list({ activeOnly: false, limit: 0 })).toMatchObject([end]);
    expect(host.runner.calls).toEqual([]);
  });

  it('somebody else has the id by now: left alone', async () => {
    const operation = await dieIn(() => {
      host.putGuest(101, 'hostname: theirs\nrootfs: local:101/x.raw\n');
    });
    expect(operation.recovery).toBe('undone');
    expect(host.parts.files.text(101)).toContain('theirs');
  });
});
