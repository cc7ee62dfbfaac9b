import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Work } from '../../operation/work.ts';
import { GUEST_UID_KEY, type GuestConfig, guestUidLine } from '../config-file.ts';
import { editConfig } from '../edit.ts';
import type { GuestParts } from '../parts.ts';
import { type HalfMade, identify, journalData } from './half-made.ts';

export interface Marking {
  readonly made: HalfMade;
  /** In place of the operation's own. */
  readonly tags: readonly string[];
  readonly change: (config: GuestConfig) => void;
}

export interface Marked {
  /** As it was to be written. */
  readonly wanted: GuestConfig | undefined;
  readonly found: GuestConfig | undefined;
}

/**
 * The effect that makes a guest of ours a whole one: tags and identity, and what `change` adds, in one write of its
 * configuration. Errors: PXM_VERIFY_FAILED when the guest is not the one that was made, those of `editConfig`.
 */
export async function markMade(parts: GuestParts, { made, tags, change }: Marking, work: Work): Promise<Marked> {
  let wanted: GuestConfig | undefined;
  await work.effect({ name: 'container.edit', data: journalData(made) }, () =>
    editConfig(
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
    ),
  );
  return { wanted, found: parts.files.config(made.vmid) };
}

export function verifyFailed(parts: GuestParts, vmid: number, difference: string): PxmError {
  return new PxmError('PXM_VERIFY_FAILED', { vmid: String(vmid), node: parts.files.node, difference });
}
