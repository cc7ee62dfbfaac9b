import type { AnyChange } from '@pxmgr/contract';
import { Device, GpuRequest } from '@pxmgr/contract/common';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Action } from '../domain/plan.ts';
import { finish, request, type Workshop, webSpec, workshop } from './work.fixture.ts';
import type { Work } from './work.ts';

const CARD = '0000:03:00.0';
const RENDER = `/dev/dri/by-path/pci-${CARD}-render`;
let shop: Workshop;
let work: Work;
beforeEach(async () => {
  const guests = ['web', 'db'].map((name, at) => ({
    vmid: 101 + at,
    name,
    status: 'stopped',
    guestUid: `${at}`.repeat(32),
  }));
  const usb = [{ id: '1-4', devicePaths: ['/dev/serial/by-id/usb-X', '/dev/bus/usb/001/002'] }];
  shop = await workshop([{ name: 'pve1', guests, gpus: [{ address: CARD }], usb }]);
  for (const { document } of shop.fleet.objects('container'))
    if (document?.document?.$case === 'container')
      shop.agent('pve1').guests.set(document.document.value.vmid, document.document.value);
  work = shop.open().work;
});

const change = (key: string, one: AnyChange): Action => ({
  $case: 'change',
  value: { guest: { key, node: '' }, change: { change: one }, start: false },
});
const attach = (key: string, wish: { gpu?: GpuRequest; devices?: Device[] }): Action =>
  change(key, { $case: 'attachDevices', value: { gpu: wish.gpu, devices: wish.devices ?? [] } });
const detach = (key: string, ...devices: Device[]): Action =>
  change(key, { $case: 'detachDevices', value: { devices } });
const whole = GpuRequest.fromPartial({ count: 1, exclusive: true });
const usb = Device.fromPartial({ deviceId: '1-4' });
const card = Device.fromPartial({ deviceId: CARD });

const plan = (action: Action, dryRun = false) =>
  work.actions.plan({ action, dryRun, showCommands: false, actor: 'operator:alice' });

async function carryOut(action: Action): Promise<void> {
  const { record } = await finish(work, work.executor.apply((await plan(action)).id).id);
  expect(record.operation.problem).toBeUndefined();
}

const refused = (action: Action): Promise<string> =>
  plan(action).then(
    () => 'planned',
    (error: unknown) => (error as { code: string }).code,
  );
const pathsOf = (vmid: number): string[] =>
  shop
    .agent('pve1')
    .guests.get(vmid)
    ?.devices.map(({ path }) => path) ?? [];

describe('a device for a guest that exists', () => {
  it('is reserved from the plan on, and belongs to the guest when the inventory shows it', async () => {
    const first = await plan(attach('web', { gpu: whole }));
    expect(first).toMatchObject({ title: `give ${RENDER} to container web (101) on pve1` });
    expect(await refused(attach('db', { gpu: whole }))).toBe('PXM_DEVICE_UNAVAILABLE');
    expect(await refused(attach('web', { devices: [usb] }))).toBe('PXM_VMID_TAKEN');
    await finish(work, work.executor.apply(first.id).id);
    expect(pathsOf(101)).toEqual([RENDER]);
    expect(work.records.reservations.active()).toEqual([]);
    expect(await refused(attach('db', { gpu: whole }))).toBe('PXM_DEVICE_UNAVAILABLE');
    expect(await refused(attach('db', { devices: [Device.fromPartial({ path: RENDER })] }))).toBe(
      'PXM_DEVICE_UNAVAILABLE',
    );
    const elsewhere = work.planner.planContainer(request({ spec: webSpec({ gpu: { count: 1 } }) }));
    await expect(elsewhere).rejects.toMatchObject({ code: 'PXM_PLACEMENT_INFEASIBLE' });
  });

  it('is free again when it was taken away, by whomever', async () => {
    await carryOut(attach('web', { gpu: whole }));
    await carryOut(detach('web', card));
    expect(pathsOf(101)).toEqual([]);
    await carryOut(attach('db', { gpu: whole }));
    expect(work.records.reservations.settled().map(({ guestUid }) => guestUid)).toEqual(['1'.repeat(32)]);
    const db = shop.agent('pve1').guests.get(102);
    if (db !== undefined) shop.agent('pve1').guests.set(102, { ...db, devices: [] });
    shop.agent('pve1').publish(102);
    expect(work.sweep().devices).toBe(1);
    expect(work.records.reservations.settled()).toEqual([]);
  });

  it('is named by the id of a USB device, which goes to one guest alone', async () => {
    await carryOut(attach('web', { devices: [usb] }));
    expect(pathsOf(101)).toEqual(['/dev/serial/by-id/usb-X']);
    expect(await refused(attach('db', { devices: [usb] }))).toBe('PXM_DEVICE_UNAVAILABLE');
    expect(await refused(attach('db', { devices: [Device.fromPartial({ deviceId: '9-9' })] }))).toBe(
      'PXM_DEVICE_UNAVAILABLE',
    );
  });

  it('is taken back when the plan is cancelled or fails', async () => {
    shop.agent('pve1').plan('device.attach', 'held');
    const { id } = work.executor.apply((await plan(attach('web', { gpu: whole }))).id);
    await expect.poll(() => shop.agent('pve1').running('device.attach')).toBe(1);
    work.executor.cancel(id, 'operator:alice');
    const { record } = await finish(work, id);
    expect(record.state).toBe('cancelled');
    await carryOut(attach('db', { gpu: whole }));
  });

  it('costs nothing on a dry run', async () => {
    expect((await plan(attach('web', { gpu: whole }), true)).steps.map(({ kind }) => kind)).toEqual([
      'device.attach',
      'inventory.confirm',
      'reservation.release',
    ]);
    expect(work.records.reservations.active()).toEqual([]);
    expect(await refused(attach('db', {}))).toBe('PXM_INPUT_INVALID');
  });
});
