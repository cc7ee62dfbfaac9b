import { type Operation, OperationState, SetOptions } from '@pxmgr/contract/common';
import { beforeEach, describe, expect, it } from 'vitest';
import { recoverAll } from '../../operation/recover.ts';
import { parseGuestConfig } from '../config-file.ts';
import { type FixtureHost, hostWith, UID } from '../host.fixture.ts';
import { bindChange, changeRecoveries } from './change.ts';
import { unmetOptions, waitingOptions, wantedOptions } from './option-values.ts';

const GUEST = `cores: 2\nhostname: web\nmemory: 1024\ntags: a;b\nlxc.environment.hooks: PXMGR_GUEST=${UID}\n`;

let host: FixtureHost;
beforeEach(async () => {
  host = await hostWith(GUEST);
});

type Wish = Parameters<typeof SetOptions.fromPartial>[0];

async function run(wish: Wish): Promise<Operation> {
  const store = host.newStore();
  const change = { change: { $case: 'setOptions' as const, value: SetOptions.fromPartial(wish) } };
  const bound = bindChange(host.parts, { vmid: 101, guestUid: UID, change });
  const { kind, title, params } = bound;
  const { id } = await store.start({ kind, title, vmid: 101, keys: ['vmid:101'], params }, (work) =>
    bound.carryOut(work),
  );
  return await store.settled(id);
}

describe('what is as wanted already', () => {
  it.each<[string, Wish]>([
    ['tags in another order and case', { tags: { tags: ['B', 'a'] } }],
    ['memory that is rounded up to a MiB', { memoryBytes: 1024n * 1024n ** 2n - 5n }],
    ['a default that is not stored', { swapBytes: 512n * 1024n ** 2n, onBoot: false }],
    ['no description', { description: '' }],
  ])('%s is not sent', (_what, wish) => {
    expect(unmetOptions(parseGuestConfig(GUEST), wantedOptions(SetOptions.fromPartial(wish)))).toEqual([]);
  });

  it('runs nothing', async () => {
    expect((await run({ cores: 2 })).state).toBe(OperationState.OPERATION_STATE_DONE);
    expect(host.runner.calls).toEqual([]);
  });
});

it('a value that waits counts, and one whose removal waits does not', () => {
  const config = parseGuestConfig(`${GUEST}\n[pve:pending]\nmemory: 2048\ndelete: cores\n`);
  const wanted = wantedOptions(SetOptions.fromPartial({ memoryBytes: 2048n * 1024n ** 2n, cores: 0 }));
  expect(unmetOptions(config, wanted)).toEqual([]);
  expect(waitingOptions(config, wanted)).toEqual(['memory', 'cores']);
});

describe('set', () => {
  it('sends what differs in one command, and believes the configuration', async () => {
    host.runner.expect('pct set 101 --swap 0 --hostname shop --delete cores,tags', {
      effect: () => host.putGuest(101, GUEST.replace(/cores.*\n|tags.*\n/g, '').replace('web', 'shop') + 'swap: 0\n'),
    });
    const wish = { memoryBytes: 2n ** 30n, swapBytes: 0n, cores: 0, name: 'shop', tags: { tags: [] } };
    expect((await run(wish)).state).toBe(OperationState.OPERATION_STATE_DONE);
    host.runner.expect('pct set 101 --memory 2048', { exit: 0 });
    expect((await run({ memoryBytes: 2n ** 31n })).problem?.code).toBe('PXM_VERIFY_FAILED');
    host.runner.assertDone();
  });

  it('reverts what only waits', async () => {
    host.putGuest(101, `${GUEST.replace('cores: 2\n', '')}\n[pve:pending]\ncores: 4\n`);
    host.runner.expect('pct set 101 --revert cores', {
      effect: () => host.putGuest(101, GUEST.replace('cores: 2\n', '')),
    });
    expect((await run({ cores: 0 })).state).toBe(OperationState.OPERATION_STATE_DONE);
    host.runner.assertDone();
  });

  it('names what a running guest gets at its next start', async () => {
    host.setRunning(101);
    host.runner.expect('pct set 101 --memory 256 --hostname shop', {
      effect: () => host.putGuest(101, `${GUEST.replace('web', 'shop')}\n[pve:pending]\nmemory: 256\n`),
    });
    const operation = await run({ memoryBytes: 2n ** 28n, name: 'shop' });
    expect(operation.results).toMatchObject({ restart: 'needed' });
    expect(operation.warnings).toEqual(['memory, hostname: the running container gets it at its next start']);
  });

  it('names it after a crash as without one, and what had been so before is not named', async () => {
    host.setRunning(101);
    const wish = { memoryBytes: 2n ** 28n, name: 'shop', cores: 2 };
    const stored = `${GUEST.replace('web', 'shop')}\n[pve:pending]\nmemory: 256\n`;
    const begun = new Promise<void>((reached) => {
      host.runner.expect('pct set 101 --memory 256 --hostname shop', {
        effect: () => {
          host.putGuest(101, stored);
          reached();
        },
        wait: new Promise(() => undefined),
      });
    });
    void run(wish);
    await begun;
    const store = host.newStore();
    await recoverAll(store, await store.load(), new Map(changeRecoveries(host.parts)));
    expect(store.list({ activeOnly: false, limit: 0 })).toMatchObject([
      {
        state: OperationState.OPERATION_STATE_DONE,
        recovery: 'resumed',
        results: { vmid: '101', restart: 'needed' },
        warnings: ['memory, hostname: the running container gets it at its next start'],
      },
    ]);
  });

  it('is refused without an option, and on a locked guest', async () => {
    expect((await run({})).problem?.code).toBe('PXM_INPUT_INVALID');
    host.putGuest(101, `${GUEST}lock: backup\n`);
    expect((await run({ cores: 1 })).problem?.code).toBe('PXM_GUEST_LOCKED');
  });
});
