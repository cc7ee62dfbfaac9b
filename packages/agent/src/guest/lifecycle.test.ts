import type { Operation } from '@pxmgr/contract/common';
import { OperationState } from '@pxmgr/contract/common';
import { beforeEach, describe, expect, it } from 'vitest';
import { isDestroy } from './create/create.fixture.ts';
import { type FixtureHost, hostWith, UID, WEB_CONFIG } from './host.fixture.ts';
import { carryOutVerb, previewVerb, type VerbRequest } from './lifecycle.ts';
import { verbRecovery } from './verb-recovery.ts';

let host: FixtureHost;
beforeEach(async () => {
  host = await hostWith(WEB_CONFIG);
});

async function run(request: Partial<VerbRequest> & Pick<VerbRequest, 'verb'>): Promise<Operation> {
  const store = host.newStore();
  const whole = { vmid: 101, guestUid: UID, ...request };
  const { id } = await store.start(
    {
      kind: `container.${whole.verb}`,
      title: whole.verb,
      vmid: 101,
      keys: ['vmid:101'],
      params: { vmid: 101, guestUid: UID },
    },
    (work) => carryOutVerb(host.parts, whole, work),
  );
  return await store.settled(id);
}

const quick = { kind: 'none', port: 0, path: '', timeoutSeconds: 0 };

describe('start', () => {
  it('believes the world, not the exit status', async () => {
    host.runner.expect('pct start 101', {
      exit: 255,
      stderr: "command 'lxc-info -n 101 -p' failed\n",
      effect: () => {
        host.setRunning(101);
      },
    });
    const operation = await run({ verb: 'start', readiness: quick });
    expect(operation.state).toBe(OperationState.OPERATION_STATE_DONE);
    expect(operation.warnings[0]).toMatch(/reported a failure, but the result is as wanted/);
  });

  it.each([
    [{ exit: 0 }, 'PXM_START_FAILED'],
    [{ exit: 255, stderr: 'unable to get PID for CT 101 (not running?)\n' }, 'PXM_START_FAILED'],
    [{ exit: 255, stderr: 'Device /dev/ttyUSB0 does not exist\n' }, 'PXM_DEVICE_NOT_FOUND'],
    [{ exit: 4, stderr: "can't lock file '/run/lock/lxc/pve-config-101.lock' - got timeout\n" }, 'PXM_LOCK_TIMEOUT'],
    [{ timedOut: true, exit: null }, 'PXM_COMMAND_TIMEOUT'],
  ])('%o is %s when nothing runs', async (answer, code) => {
    host.runner.expect('pct start 101', answer);
    expect((await run({ verb: 'start', readiness: quick })).problem?.code).toBe(code);
  });

  it('waits for the port, and tells addresses and ports', async () => {
    host.write('sys/fs/cgroup/lxc/101/cgroup.procs', '4711\n');
    host.write('proc/4711/net/tcp', 'sl local_address rem_address st\n0: 00000000:1F90 00000000:0000 0A\n');
    host.runner.expect('pct start 101', {
      effect: () => {
        host.setRunning(101);
      },
    });
    const operation = await run({ verb: 'start', readiness: { kind: 'tcp', port: 8080, path: '', timeoutSeconds: 5 } });
    expect(operation).toMatchObject({ state: OperationState.OPERATION_STATE_DONE, results: { ports: '8080' } });
  });

  it('asks over http from inside the network of the guest', async () => {
    host.write('sys/fs/cgroup/lxc/101/cgroup.procs', '4711\n');
    host.write('proc/4711/net/tcp', 'sl local_address rem_address st\n0: 00000000:1F90 00000000:0000 0A\n');
    host.runner.expect('pct start 101', {
      effect: () => {
        host.setRunning(101);
      },
    });
    host.runner.expect({
      file: 'nsenter',
      args: (args) =>
        args.join(' ').startsWith('--target 4711 --net -- curl') && args.at(-1) === 'http://127.0.0.1:8080/health',
    });
    expect(
      (await run({ verb: 'start', readiness: { kind: 'http', port: 8080, path: '/health', timeoutSeconds: 5 } }))
        .problem,
    ).toBeUndefined();
    host.runner.assertDone();
  });

  it('says that a program ended at once, with the reason that LXC left', async () => {
    host.write('run/pve/ct-101.stderr', 'a\nexec: /serve: not found\n');
    host.runner.expect('pct start 101', {
      effect: () => {
        host.setRunning(101);
        setTimeout(() => {
          host.setRunning();
        }, 20);
      },
    });
    const { problem } = await run({ verb: 'start', readiness: { kind: 'tcp', port: 1, path: '', timeoutSeconds: 5 } });
    expect(problem).toMatchObject({
      code: 'PXM_START_FAILED',
      message: expect.stringContaining('exec: /serve: not found') as unknown,
    });
  });
});

describe('refusals before any command', () => {
  const foreign = WEB_CONFIG.replace(UID, 'f'.repeat(32));
  it.each([
    { why: 'another guest has the id', verb: 'start', config: foreign, code: 'PXM_GUEST_FOREIGN' },
    { why: 'it is locked', verb: 'start', config: `${WEB_CONFIG}lock: backup\n`, code: 'PXM_GUEST_LOCKED' },
    { why: 'it is a template', verb: 'start', config: `${WEB_CONFIG}template: 1\n`, code: 'PXM_GUEST_TEMPLATE' },
    { why: 'it is protected', verb: 'destroy', config: `${WEB_CONFIG}protection: 1\n`, code: 'PXM_GUEST_PROTECTED' },
    { why: 'it does not run', verb: 'shutdown', config: WEB_CONFIG, code: 'PXM_GUEST_NOT_RUNNING' },
  ] as const)('$why', async ({ verb, config, code }) => {
    host.putGuest(101, config);
    expect((await run({ verb })).problem?.code).toBe(code);
    expect(host.runner.calls).toEqual([]);
  });

  it('runs already, is unknown, no quorum, destroy without a uid', async () => {
    host.setRunning(101);
    expect((await run({ verb: 'start' })).problem?.code).toBe('PXM_GUEST_RUNNING');
    expect((await run({ verb: 'destroy' })).problem?.code).toBe('PXM_GUEST_RUNNING');
    expect((await run({ verb: 'destroy', guestUid: '' })).problem?.code).toBe('PXM_INPUT_INVALID');
    expect((await run({ verb: 'start', vmid: 999 })).problem?.code).toBe('PXM_GUEST_NOT_FOUND');
    host.setQuorate(false);
    expect((await run({ verb: 'stop' })).problem?.code).toBe('PXM_NO_QUORUM');
  });
});

describe('ending', () => {
  it('shuts down with a limit of its own, and names a guest that does not react', async () => {
    host.setRunning(101);
    host.runner.expect('pct shutdown 101 --timeout 12 --forceStop 0', (command) => {
      expect(command.timeoutMs).toBe(44_000);
      return { exit: 255, stderr: 'container did not stop\n' };
    });
    expect((await run({ verb: 'shutdown', timeoutSeconds: 12 })).problem).toMatchObject({
      code: 'PXM_SHUTDOWN_TIMEOUT',
      fields: { seconds: '12' },
    });
  });

  describe('a pct that is killed over a shutdown', () => {
    const killed = (more: () => void): void => {
      host.setRunning(101);
      host.runner.expect('pct shutdown 101 --timeout 1 --forceStop 0', {
        exit: null,
        signal: 'SIGKILL',
        effect: () => {
          host.putTask('vzshutdown', 101, '');
          more();
        },
      });
    };

    it('has not failed when the guest goes down by itself', async () => {
      killed(() => setTimeout(() => host.setRunning(), 200));
      expect(await run({ verb: 'shutdown', timeoutSeconds: 1 })).toMatchObject({
        state: OperationState.OPERATION_STATE_DONE,
        warnings: ['pct did not live to see it, but container 101 is down'],
      });
    });

    it('has failed when it does not, and says that it still may', async () => {
      killed(() => undefined);
      expect(await run({ verb: 'shutdown', timeoutSeconds: 1 })).toMatchObject({
        state: OperationState.OPERATION_STATE_FAILED,
        warnings: ['container 101 was told to shut down and may still do so'],
      });
    });
  });

  it('a shutdown that somebody cancels says that the guest may go down all the same', async () => {
    host.setRunning(101);
    const store = host.newStore();
    const begun = new Promise<void>((reached) => {
      host.runner.expect('pct shutdown 101 --timeout 30 --forceStop 0', {
        effect: () => {
          host.putTask('vzshutdown', 101, 'TASK ERROR: received interrupt');
          reached();
        },
        wait: new Promise(() => undefined),
      });
    });
    const key = { vmid: 101, guestUid: UID };
    const order = { kind: 'container.shutdown', title: '', vmid: 101, keys: ['vmid:101'], params: key };
    const { id } = await store.start(order, (work) => carryOutVerb(host.parts, { ...key, verb: 'shutdown' }, work));
    await begun;
    store.cancel(id, 'operator:night');
    expect(await store.settled(id)).toMatchObject({
      state: OperationState.OPERATION_STATE_CANCELLED,
      warnings: ['container 101 was told to shut down and may still do so'],
    });
  });

  it('shows how a guest that is still to be made will be started', () => {
    expect(
      previewVerb(host.parts, { verb: 'start', vmid: 777, guestUid: '' }).map((one) => one.argv.join(' ')),
    ).toEqual(['pct start 777']);
    expect(() => previewVerb(host.parts, { verb: 'stop', vmid: 777, guestUid: '' })).toThrow(/777/);
  });

  it('stops and destroys by force, and shows both commands before', async () => {
    host.setRunning(101);
    expect(
      previewVerb(host.parts, { verb: 'destroy', vmid: 101, guestUid: UID, force: true }).map((one) =>
        one.argv.join(' '),
      ),
    ).toEqual(['pct stop 101', 'pct destroy 101 --destroy-unreferenced-disks 1 --purge 1']);
    host.runner.expect('pct stop 101', {
      effect: () => {
        host.setRunning();
      },
    });
    host.runner.expect('pct destroy 101 --destroy-unreferenced-disks 1 --purge 1', {
      effect: () => {
        host.dropGuest(101);
      },
    });
    expect((await run({ verb: 'destroy', force: true })).state).toBe(OperationState.OPERATION_STATE_DONE);
    host.runner.assertDone();
  });

  it('a destroy that leaves the configuration has failed, whatever pct says', async () => {
    host.runner.expect('pct destroy 101 --destroy-unreferenced-disks 1 --purge 1', { exit: 0 });
    expect((await run({ verb: 'destroy' })).problem?.code).toBe('PXM_VERIFY_FAILED');
  });
});

describe('a destroy on a node that loses its cluster', () => {
  const DESTROY = 'pct destroy 101 --destroy-unreferenced-disks 1 --purge 1';

  async function end(): Promise<Operation> {
    const store = host.newStore(new Map([['container.destroy', verbRecovery(host.parts, 'destroy')]]));
    const params = { vmid: 101, guestUid: UID };
    const { id } = await store.start(
      { kind: 'container.destroy', title: 'destroy', vmid: 101, keys: ['vmid:101'], params },
      (work) => carryOutVerb(host.parts, { ...params, verb: 'destroy' }, work),
    );
    return await store.settled(id);
  }

  it('is not done because the cluster file system is away, and with it the configuration', async () => {
    host.write('etc/hostname', 'pve1\n');
    host.setQuorate(true);
    host.runner.expect(DESTROY, {
      exit: 111,
      stderr: 'ipcc_send_rec[1] failed: Connection refused\n',
      effect: () => {
        host.dropGuest(101);
        host.write('etc/pve/.members', '');
        setTimeout(() => {
          host.putGuest(101, WEB_CONFIG);
          host.setQuorate(true);
        }, 1200);
      },
    });
    host.runner.expect(DESTROY, {
      effect: () => {
        host.dropGuest(101);
      },
    });
    expect(await end()).toMatchObject({ state: OperationState.OPERATION_STATE_DONE, recovery: 'resumed' });
    host.runner.assertDone();
  });

  it('is gone on with when the node has quorum again, and no command runs before', async () => {
    const runWithQuorum: boolean[] = [];
    const note = (): void => {
      runWithQuorum.push(host.parts.cluster.quorate());
    };
    host.setQuorate(true);
    host.runner.expect(DESTROY, {
      exit: 255,
      stderr: 'failed to remove config file: Permission denied\n',
      effect: () => {
        note();
        host.putGuest(101, 'lock: destroyed\n');
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
    expect(await end()).toMatchObject({ state: OperationState.OPERATION_STATE_DONE, recovery: 'resumed' });
    expect(runWithQuorum).toEqual([true, true, true]);
    host.runner.assertDone();
  });
});
