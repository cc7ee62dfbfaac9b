/** A plan as its reader wants it: what, where, in which steps, how each is taken back, and the exact commands. */
import { formatSize } from '@pxmgr/contract';
import type { ContainerSpec } from '@pxmgr/contract/common';
import type { Plan, PlanStep } from '@pxmgr/contract/controller';
import type { Page } from './explanation.ts';
import { renderHostCommand } from './host-command.ts';
import { renderPairs } from './table.ts';

function sourceText(spec: ContainerSpec): string {
  switch (spec.source?.$case) {
    case 'image':
      return `${spec.source.value.reference}${spec.source.value.digest === '' ? '' : ` (${spec.source.value.digest})`}`;
    case 'template':
      return spec.source.value.volumeId;
    case undefined:
      return '';
  }
}

/** A linked clone begins with nothing of its own. */
function ownText(bytes: bigint): string {
  return bytes === 0n ? 'shared' : formatSize(bytes);
}

function mountText(mount: ContainerSpec['mounts'][number]): string {
  const suffix = mount.readOnly ? ' (ro)' : '';
  switch (mount.source?.$case) {
    case 'bind':
    case 'dataset':
      return `${mount.source.value} at ${mount.target}${suffix}`;
    case 'volume':
      return `${ownText(mount.source.value.sizeBytes)} volume at ${mount.target}${suffix}`;
    case undefined:
      return mount.target;
  }
}

export function renderSpec(spec: ContainerSpec): string[] {
  return renderPairs(
    [
      ['from', sourceText(spec)],
      ['name', spec.name],
      ['cores', spec.cores === 0 ? 'all' : String(spec.cores)],
      ['memory', formatSize(spec.memoryBytes)],
      ['root file system', `${ownText(spec.rootfsBytes)} on ${spec.storage || '(chosen later)'}`],
      ['mounts', spec.mounts.map(mountText).join('; ')],
      ['devices', spec.devices.map((device) => device.path).join(' ')],
      ['networks', spec.networks.map((net) => `${net.name} on ${net.bridge} ${net.ipv4}`.trim()).join('; ')],
    ],
    '  ',
  );
}

function stepLines(step: PlanStep, page: Page, commands: boolean): string[] {
  const lines = [`  ${step.index}. ${step.title}`];
  if (step.undo !== '') lines.push(page.theme.dim(`     undo: ${step.undo}`));
  if (commands)
    lines.push(
      ...step.commands.map((command) =>
        page.theme.dim(`     ${command.internal ? '#' : '$'} ${renderHostCommand(command)}`),
      ),
    );
  return lines;
}

/** Steps that make a guest of the plan's spec. */
const MAKES: ReadonlySet<string> = new Set(['container.create', 'container.clone']);

export function renderPlan(plan: Plan, page: Page, commands: boolean): string[] {
  const head = plan.id === '' ? 'plan (dry run, nothing is stored)' : `plan ${plan.id}`;
  const lines = [page.theme.bold(plan.title), page.theme.dim(head)];
  // The plan of a pull carries no more of a spec than its image.
  const creates = plan.steps.some((step) => MAKES.has(step.kind));
  if (plan.spec !== undefined)
    lines.push(...(creates ? renderSpec(plan.spec) : renderPairs([['from', sourceText(plan.spec)]], '  ')));
  lines.push('steps', ...plan.steps.flatMap((step) => stepLines(step, page, commands)));
  return lines;
}
