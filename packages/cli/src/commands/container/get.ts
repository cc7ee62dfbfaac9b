import { formatSize } from '@pxmgr/contract';
import type { ContainerDocument, GuestDevice, InventoryObject } from '@pxmgr/contract/common';
import { argument, command } from '../../command.ts';
import { renderGrid, renderPairs } from '../../render/table.ts';
import { paintState, type Theme } from '../../render/theme.ts';
import { exactTime } from '../../render/time.ts';
import { detail } from '../../result.ts';
import { GUEST_ARGS, NODE_OPTION } from '../action-plan.ts';
import { fetchContainer } from '../inventory.ts';
import { themeOf } from '../page.ts';

function lines(object: InventoryObject, container: ContainerDocument, theme: Theme): string[] {
  const flags = [
    container.unprivileged ? 'unprivileged' : 'privileged',
    container.onBoot ? 'on boot' : '',
    container.protection ? 'protected' : '',
    container.template ? 'template' : '',
  ];
  return [
    ...renderPairs([
      ['container', `${container.vmid} ${container.name}`],
      ['node', object.nodeName],
      ['status', paintState(theme, container.status)],
      ['lock', container.lock],
      ['addresses', container.addresses.join(' ')],
      ['image', container.imageReference],
      ['digest', container.imageDigest],
      ['os type', container.osType],
      ['entrypoint', container.entrypoint],
      ['cores', container.cores === 0 ? 'all' : String(container.cores)],
      ['memory', formatSize(container.memoryBytes)],
      ['swap', container.swapBytes === 0n ? '' : formatSize(container.swapBytes)],
      ['flags', flags.filter((flag) => flag !== '').join(', ')],
      ['tags', container.tags.join(', ')],
      ['pending', container.pending.join(', ')],
      ['snapshots', container.snapshots.join(', ')],
      ['uid', container.guestUid],
      ['description', container.description.split('\n')[0] ?? ''],
      ['observed', exactTime(object.observedAt)],
    ]),
    ...section(
      'mounts',
      container.mountPoints.map((mount) => [
        mount.key,
        mount.target || '/',
        mount.volume,
        mount.sizeBytes === 0n ? '' : formatSize(mount.sizeBytes),
        mount.readOnly ? 'read-only' : '',
      ]),
    ),
    ...section(
      'networks',
      container.networks.map((net) => [
        net.key,
        net.name,
        net.bridge,
        [net.ipv4, net.ipv6].filter((address) => address !== '').join(' '),
        net.mac,
      ]),
    ),
    ...section('devices', container.devices.map(deviceRow)),
  ];
}

function deviceRow({ key, path, gid, mode, pending }: GuestDevice): string[] {
  return [key, path, `gid ${gid}`, `mode ${mode || '0660'}`, WAITING[pending] ?? ''];
}

const WAITING: Readonly<Record<string, string>> = { attach: 'after a restart', detach: 'until a restart' };

function section(title: string, rows: readonly (readonly string[])[]): string[] {
  return rows.length === 0 ? [] : [title, ...renderGrid(rows, '  ')];
}

export const containerGet = command({
  path: 'container get',
  summary: 'Show one container',
  args: GUEST_ARGS,
  options: { node: NODE_OPTION },
  examples: ['pxmgr container get 100', 'pxmgr container get web -o yaml'],
  run: async (context, input) => {
    const { object, container } = await fetchContainer(context, argument(input, 0), input.options.node ?? '');
    return detail({
      noun: 'Container',
      name: String(container.vmid),
      lines: lines(object, container, themeOf(context)),
      json: { node: object.nodeName, nodeUid: object.nodeUid, observedAt: object.observedAt, ...container },
    });
  },
});
