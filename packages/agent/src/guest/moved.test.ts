import { OperationState, type Problem } from '@pxmgr/contract/common';
import { beforeEach, describe, expect, it } from 'vitest';
import { recoverAll } from '../operation/recover.ts';
import { isDestroy } from './create/create.fixture.ts';
import { type FixtureHost, hostWith, UID, WEB_CONFIG } from './host.fixture.ts';
import { carryOutVerb, type Verb } from './lifecycle.ts';
import { verbRecovery } from './verb-recovery.ts';

const KEY = { vmid: 101, guestUid: UID };

let host: FixtureHost;
beforeEach(async () => {
  host = await hostWith(WEB_CONFIG);
});

async function problemOf(verb: Verb): Promise<Problem | undefined> {
  const store = host.newStore();
  const order = { kind: `container.${verb}`, title: verb, vmid: 101, keys: ['vmid:101'], params: KEY };
  const { id } = await store.start(order, (work) => carryOutVerb(host.parts, { ...KEY, verb }, work));
  const { state, problem } = await store.settled(id);
  expect(state).toBe(OperationState.OPERATION_STATE_FAILED);
  return problem;
}

describe('moved to another node meanwhile', () => {
  const NOT_THERE = { exit: 255, stderr: "Configuration file 'nodes/pve1/lxc/101.conf' does not exist\n" };
  const move = (config = WEB_CONFIG): void => {
    host.dropGuest(101);
    host.setRunning();
    host.write('etc/pve/nodes/pve2/lxc/101.conf', config);
    host.write('etc/pve/.vmlist', '{"version":2,"ids":{"101":{"node":"pve2","type":"lxc","version":2}}}');
  };

  it.each(['start', 'stop', 'destroy'] as const)('%s fails, though the guest is gone here', async (verb) => {
    if (verb === 'stop') host.setRunning(101);
    host.runner.expect(verb === 'destroy' ? isDestroy : `pct ${verb} 101`, { ...NOT_THERE, effect: () => move() });
    expect(await problemOf(verb)).toMatchObject({
      code: 'PXM_GUEST_MOVED',
      fields: { vmid: '101', node: 'pve1', target: 'pve2' },
    });
  });

  it('another guest that has its vmid there is not taken for it', async () => {
    move(WEB_CONFIG.replace(UID, '00000000-0000-4000-8000-000000000000'));
    expect(await problemOf('start')).toMatchObject({ code: 'PXM_GUEST_NOT_FOUND' });
  });

  it('a destroy that the agent did not live to end is not taken for done', async () => {
    const begun = new Promise<void>((reached) => {
      host.runner.expect(isDestroy, { effect: () => reached(), wait: new Promise(() => undefined) });
    });
    const order = { kind: 'container.destroy', title: '', vmid: 101, keys: ['vmid:101'], params: KEY };
    await host.newStore().start(order, (work) => carryOutVerb(host.parts, { ...KEY, verb: 'destroy' }, work));
    await begun;
    move();
    const store = host.newStore();
    await recoverAll(store, await store.load(), new Map([[order.kind, verbRecovery(host.parts, 'destroy')]]));
    expect(store.list({ activeOnly: false, limit: 0 })).toMatchObject([{ recovery: 'undone' }]);
  });
});
