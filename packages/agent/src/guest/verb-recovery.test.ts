import { type Operation, OperationState } from '@pxmgr/contract/common';
import { beforeEach, describe, expect, it } from 'vitest';
import { recoverAll } from '../operation/recover.ts';
import { type FixtureHost, hostWith, UID, WEB_CONFIG } from './host.fixture.ts';
import { carryOutVerb, type VerbRequest } from './lifecycle.ts';
import { type VerbParams, verbRecovery } from './verb-recovery.ts';

const DESTROY = 'pct destroy 101 --destroy-unreferenced-disks 1 --purge 1';

let host: FixtureHost;
beforeEach(async () => {
  host = await hostWith(WEB_CONFIG);
});

const dropIt = { effect: () => host.dropGuest(101) };

type Order = Pick<VerbRequest, 'verb' | 'force'> & Pick<VerbParams, 'readiness' | 'timeoutSeconds'>;

/** The agent dies while that command works, and the next one finds the host as `found` makes it. */
async function recovered({ readiness, ...order }: Order, command: string, found: () => void): Promise<Operation> {
  const { verb } = order;
  const kind = `container.${verb}`;
  const key = { vmid: 101, guestUid: UID };
  const begun = new Promise<void>((reached) => {
    host.runner.expect(command, { effect: () => reached(), wait: new Promise(() => undefined) });
  });
  const { timeoutSeconds = 0 } = order;
  const params: VerbParams = { ...key, timeoutSeconds, ...(readiness === undefined ? {} : { readiness }) };
  await host
    .newStore()
    .start({ kind, title: verb, vmid: 101, keys: ['vmid:101'], params }, (work) =>
      carryOutVerb(host.parts, { ...key, ...order }, work),
    );
  await begun;
  found();
  const store = host.newStore();
  await recoverAll(store, await store.load(), new Map([[kind, verbRecovery(host.parts, verb)]]));
  const [operation] = store.list({ activeOnly: false, limit: 0 });
  if (operation === undefined) throw new Error('the operation is gone');
  host.runner.assertDone();
  return operation;
}

describe('start and stop after a crash', () => {
  it.each([
    ['start', true, 'resumed'],
    ['start', false, 'undone'],
    ['stop', false, 'resumed'],
    ['stop', true, 'undone'],
  ] as const)('%s with running=%s is %s', async (verb, isRunning, recovery) => {
    if (verb === 'stop') host.setRunning(101);
    const operation = await recovered({ verb, readiness: { kind: 'none' } }, `pct ${verb} 101`, () => {
      host.setRunning(...(isRunning ? [101] : []));
    });
    expect(operation.recovery).toBe(recovery);
  });

  it('a start whose unit is just coming up is waited for', async () => {
    const unit = 'sys/fs/cgroup/system.slice/system-pve\\x2dcontainer.slice/pve-container@101.service/cgroup.procs';
    const operation = await recovered({ verb: 'start', readiness: { kind: 'none' } }, 'pct start 101', () => {
      host.write(unit, '');
      setTimeout(() => {
        host.setRunning(101);
      }, 100);
    });
    expect(operation.recovery).toBe('resumed');
  });

  it('a start that came as far as a running guest still waits until that is ready', async () => {
    const readiness = { kind: 'tcp', port: 8080, timeoutSeconds: 1 };
    const operation = await recovered({ verb: 'start', readiness }, 'pct start 101', () => host.setRunning(101));
    expect(operation).toMatchObject({ recovery: 'resumed', problem: { code: 'PXM_NOT_READY' } });
  });

  it('another guest that runs under the id by now was not started by it', async () => {
    const operation = await recovered({ verb: 'start' }, 'pct start 101', () => {
      host.putGuest(101, WEB_CONFIG.replace(UID, 'f'.repeat(32)));
      host.setRunning(101);
    });
    expect(operation.recovery).toBe('undone');
  });
});

describe('a guest that was told to go down before the crash', () => {
  const shutdown = { verb: 'shutdown', timeoutSeconds: 1 } as const;
  const SHUTDOWN = 'pct shutdown 101 --timeout 1 --forceStop 0';
  beforeEach(() => host.setRunning(101));

  it.each(['shutdown', 'stop'] as const)('is waited for, and a %s is done when it is down', async (verb) => {
    const command = verb === 'stop' ? 'pct stop 101' : SHUTDOWN;
    const operation = await recovered({ ...shutdown, verb }, command, () => {
      host.putTask(`vz${verb}`, 101, '');
      setTimeout(() => host.setRunning(), 200);
    });
    expect(operation).toMatchObject({ state: OperationState.OPERATION_STATE_DONE, recovery: 'resumed' });
  });

  it.each(['', 'TASK ERROR: container did not stop', 'TASK ERROR: received interrupt'])(
    'and still runs has not stopped in time, which is no undone shutdown: task "%s"',
    async (end) => {
      const operation = await recovered(shutdown, SHUTDOWN, () => host.putTask('vzshutdown', 101, end));
      expect(operation).toMatchObject({
        state: OperationState.OPERATION_STATE_FAILED,
        recovery: 'resumed',
        problem: { code: 'PXM_SHUTDOWN_TIMEOUT', hint: expect.stringContaining('may still do so') as unknown },
      });
    },
  );

  it.each([
    ['before there was a task', () => undefined],
    [
      'waiting for the lock',
      () => host.putTask('vzshutdown', 101, "TASK ERROR: can't lock file '/run/lock/x' - got timeout"),
    ],
  ])('was not when pct died %s: undone', async (_when, leave) => {
    expect((await recovered(shutdown, SHUTDOWN, leave)).recovery).toBe('undone');
  });

  it('and whose id is another guest by now is none of ours', async () => {
    const operation = await recovered(shutdown, SHUTDOWN, () => {
      host.putTask('vzshutdown', 101, '');
      host.putGuest(101, WEB_CONFIG.replace(UID, 'f'.repeat(32)));
      host.setRunning();
    });
    expect(operation.recovery).toBe('undone');
  });
});

describe('destroy after a crash', () => {
  it.each([
    ['a lock', 'lock: destroyed\n', ['pct unlock 101']],
    ['nothing, once a recovery before had unlocked it', '', []],
  ])('is finished where the configuration holds %s', async (_what, config, first) => {
    const operation = await recovered({ verb: 'destroy' }, DESTROY, () => {
      host.putGuest(101, config);
      for (const command of first) host.runner.expect(command);
      host.runner.expect(DESTROY, dropIt);
    });
    expect(operation.recovery).toBe('resumed');
  });

  it('is begun anew where nothing of the guest is gone yet', async () => {
    const operation = await recovered({ verb: 'destroy' }, DESTROY, () => {
      host.runner.expect(DESTROY, dropIt);
    });
    expect(operation.recovery).toBe('resumed');
  });

  it('leaves a guest alone that was to be destroyed only if stopped, and that somebody has started since', async () => {
    const operation = await recovered({ verb: 'destroy' }, DESTROY, () => host.setRunning(101));
    expect(operation.recovery).toBe('undone');
  });

  it('by force goes on with a guest that still runs', async () => {
    host.setRunning(101);
    const operation = await recovered({ verb: 'destroy', force: true }, 'pct stop 101', () => {
      host.runner.expect('pct stop 101', { effect: () => host.setRunning() });
      host.runner.expect(DESTROY, dropIt);
    });
    expect(operation.recovery).toBe('resumed');
  });

  it.each([
    ['is being made', 'lock: create\n'],
    ['is', 'hostname: theirs\nrootfs: local:101/vm-101-disk-1.raw\n'],
  ])('is done when another guest %s under its id', async (_what, config) => {
    const operation = await recovered({ verb: 'destroy' }, DESTROY, () => host.putGuest(101, config));
    expect(operation.recovery).toBe('resumed');
    expect(host.parts.files.text(101)).toBe(config);
  });
});
