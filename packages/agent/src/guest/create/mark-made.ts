import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Work } from '../../operation/work.ts';
import { GUEST_UID_KEY, type GuestConfig, guestUidLine, guestUidOf } from '../config-file.ts';
import { editConfig } from '../edit.ts';
import type { GuestParts } from '../parts.ts';
import { type HalfMade, identify, journalData } from './half-made.ts';

export interface Marking {
  readonly made: HalfMade;
  /** In place of the operation's own. */
  readonly tags: readonly string[];
  readonly change: (config: GuestConfig) => void;
}

/**
 * The effect that makes a guest of ours a whole one: tags and identity, and what `change` adds, in one write of its
 * configuration. Errors: PXM_VERIFY_FAILED when the guest is not the one that was made, or is not as it was written;
 * those of `editConfig`.
 */
export async function markMade(parts: GuestParts, { made, tags, change }: Marking, work: Work): Promise<void> {
  let wanted: GuestConfig | undefined;
  await work.effect({ name: 'container.edit', data: journalData(made) }, async () => {
    await editConfig(
      {
        paths: parts.paths,
        node: parts.files.node,
        run: (command) => parts.runner.run(command, { signal: work.signal, operationId: work.id }),
      },
      {
        vmid: made.vmid,
        guard: (config) => {
          if (identify(config, made) !== 'ours')
            throw verifyFailed(parts, made.vmid, 'the guest under this id is not the one we made');
        },
        change: (config) => {
          config.entries.set('tags', tags.join(';'));
          config.raw = config.raw.filter(([key]) => key !== GUEST_UID_KEY);
          config.raw.push(guestUidLine(made.guestUid));
          change(config);
          wanted = config;
        },
      },
    );
    const difference = differenceOf(wanted, parts.files.config(made.vmid), made.guestUid);
    if (difference !== undefined) throw verifyFailed(parts, made.vmid, difference);
  });
}

function differenceOf(
  wanted: GuestConfig | undefined,
  found: GuestConfig | undefined,
  guestUid: string,
): string | undefined {
  if (found === undefined || wanted === undefined) return 'its configuration is gone';
  if (guestUidOf(found) !== guestUid) return 'its identity line was not kept';
  if (JSON.stringify(found.env) !== JSON.stringify(wanted.env)) return 'its environment is not as ordered';
  if (JSON.stringify(found.raw) !== JSON.stringify(wanted.raw)) return 'its raw LXC lines are not as ordered';
  const changed = [...wanted.entries].find(([key, value]) => found.entries.get(key) !== value);
  return changed === undefined ? undefined : `${changed[0]} is "${found.entries.get(changed[0]) ?? ''}"`;
}

export function verifyFailed(parts: GuestParts, vmid: number, difference: string): PxmError {
  return new PxmError('PXM_VERIFY_FAILED', { vmid: String(vmid), node: parts.files.node, difference });
}
