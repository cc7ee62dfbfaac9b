import { stat } from 'node:fs/promises';
import type { DatasetName } from '@pxmgr/contract';
import type { ContainerSpec, Device } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Command, CommandResult, Runner } from '@pxmgr/kit/exec/command';
import { needsAutodevHook, requireAutodevHook } from '../../device/autodev.ts';
import { gpuDevices, planDevices } from '../../device/passthrough.ts';
import { getDataset } from '../../zfs/dataset.ts';
import type { GuestParts } from '../parts.ts';
import { type CreateRequest, checkCreateRequest, withPlainPaths } from './check-spec.ts';
import { checkStorages } from './check-storage.ts';
import { factsOfImage } from './create-oci.ts';
import { type CreatePlan, datasetsOf, planCreate } from './create-plan.ts';
import { factsOfTemplate } from './create-template.ts';
import type { SourceFacts } from './source-facts.ts';

export interface Preflight {
  readonly plan: CreatePlan;
  readonly facts: SourceFacts;
}

type Run = (command: Command) => Promise<CommandResult>;

/**
 * Everything that can be known before anything is made. Changes nothing, so that a dry run does it too. Errors: those
 * of each check; nothing was changed when it throws.
 */
export async function prepareCreate(
  parts: GuestParts,
  request: CreateRequest,
  options: { run: Run; operationTag: string },
): Promise<Preflight> {
  checkCreateRequest(request);
  parts.cluster.requireQuorum();
  parts.files.requireFree(request.vmid);
  const spec = withPlainPaths(request.spec);
  await checkHostThings(parts, spec);
  const facts = await factsOf(parts, spec, options.run);
  const devices = planDevices(await wantedDevices(parts, spec), facts.accounts, parts.paths);
  if (needsAutodevHook(devices.entries)) requireAutodevHook(parts.paths, parts.files.node);
  const datasets = new Map<string, string>();
  const runner: Pick<Runner, 'run'> = { run: options.run };
  for (const name of datasetsOf(spec)) {
    datasets.set(name, (await getDataset(runner as Runner, name as DatasetName, parts.files.node)).mountpoint);
  }
  const plan = planCreate({
    request: { ...request, spec },
    facts,
    devices,
    datasets,
    operationTag: options.operationTag,
  });
  const wanted = { storages: plan.storages, contentBytes: facts.unpackedBytes, vmid: request.vmid };
  await checkStorages({ paths: parts.paths, node: parts.files.node, run: options.run }, wanted);
  return { plan, facts };
}

async function factsOf(parts: GuestParts, spec: ContainerSpec, run: Run): Promise<SourceFacts> {
  if (spec.source?.$case === 'image') {
    const wanted = { image: spec.source.value, osType: spec.osType };
    return await factsOfImage(parts.images, wanted, parts.files.node);
  }
  const volumeId = spec.source?.value.volumeId ?? '';
  const needsGroups = spec.devices.length > 0 || spec.gpu !== undefined;
  return await factsOfTemplate({ paths: parts.paths, node: parts.files.node, run }, volumeId, needsGroups);
}

/** Placement has turned a GPU wish into devices; a wish that names a card but no devices is turned here. */
async function wantedDevices(parts: GuestParts, spec: ContainerSpec): Promise<Device[]> {
  const address = spec.gpu?.address ?? '';
  if (address === '' || spec.devices.some((device) => device.deviceId === address)) return spec.devices;
  const gpu = (await parts.gpus()).find((one) => one.address === address);
  if (gpu === undefined) throw new PxmError('PXM_DEVICE_NOT_FOUND', { device: address, node: parts.files.node });
  return [...spec.devices, ...gpuDevices(gpu, parts.paths)];
}

/** What Proxmox would accept at create and refuse at each start. */
async function checkHostThings({ paths, files }: GuestParts, spec: ContainerSpec): Promise<void> {
  const problems = spec.networks
    .filter((network) => !paths.exists(`/sys/class/net/${network.bridge}`))
    .map((network) => `bridge ${network.bridge} is not on ${files.node}`);
  for (const { source, target } of spec.mounts) {
    if (source?.$case !== 'bind') continue;
    const isThere = await paths.look(`directory ${source.value}`, source.value, (real) =>
      stat(real).then(
        () => true,
        () => false,
      ),
    );
    if (!isThere) problems.push(`mount ${target}: ${source.value} does not exist on ${files.node}`);
  }
  if (problems.length > 0)
    throw new PxmError('PXM_INPUT_INVALID', { count: String(problems.length), problems: problems.join('; ') });
}
