/** The options of a container that can be set: what is wrong with them, and whether the inventory shows them. Pure. */
import { hasControlCharacters, limits, parseGuestName, parseTag } from '@pxmgr/contract';
import type { ContainerDocument, SetOptions } from '@pxmgr/contract/common';
import type { Complain } from './complaint.ts';

/** `description`: proxmox/pve-container src/PVE/LXC/Config.pm. */
const DESCRIPTION_MAX = 8192;
const MIB = 1024n * 1024n;

/** Field of the wish, key of the configuration, and whether the guest of the inventory has it. */
const OPTIONS: readonly {
  readonly field: keyof SetOptions;
  readonly key: string;
  readonly isShown: (guest: ContainerDocument, wish: SetOptions) => boolean;
}[] = [
  { field: 'memoryBytes', key: 'memory', isShown: (guest, wish) => guest.memoryBytes === wholeMib(wish.memoryBytes) },
  { field: 'swapBytes', key: 'swap', isShown: (guest, wish) => guest.swapBytes === wholeMib(wish.swapBytes) },
  { field: 'cores', key: 'cores', isShown: (guest, wish) => guest.cores === wish.cores },
  { field: 'name', key: 'hostname', isShown: (guest, wish) => guest.name === wish.name },
  { field: 'onBoot', key: 'onboot', isShown: (guest, wish) => guest.onBoot === wish.onBoot },
  { field: 'tags', key: 'tags', isShown: (guest, wish) => folded(guest.tags) === folded(wish.tags?.tags ?? []) },
  {
    field: 'description',
    key: 'description',
    isShown: (guest, wish) => guest.description.trimEnd() === (wish.description ?? '').trimEnd(),
  },
];

export function optionNames(wish: SetOptions): string {
  return named(wish)
    .map(({ key }) => key)
    .join(', ');
}

/** What waits for a restart counts: the agent has looked at its value. */
export function optionsShown(guest: ContainerDocument, wish: SetOptions): boolean {
  return named(wish).every(({ key, isShown }) => isShown(guest, wish) || guest.pending.includes(key));
}

export function checkOptions(wish: SetOptions, complain: Complain): void {
  const { memoryBytes, cores, description = '' } = wish;
  if (named(wish).length === 0) complain('options', 'name at least one');
  if (memoryBytes !== undefined && memoryBytes < BigInt(limits.CONTAINER_MEMORY_MIN_BYTES))
    complain('memory', `must be at least ${limits.CONTAINER_MEMORY_MIN_BYTES / 1024 / 1024}MiB`);
  if (cores !== undefined && cores > limits.CONTAINER_CORES_MAX)
    complain('cores', `must be at most ${limits.CONTAINER_CORES_MAX}`);
  checkNames(wish, complain);
  checkDescription(description, complain);
}

function checkNames({ name, tags }: SetOptions, complain: Complain): void {
  const words = [
    ...(name === undefined ? [] : [['hostname', name, parseGuestName(name)] as const]),
    ...(tags?.tags ?? []).map((tag) => ['tag', tag, parseTag(tag)] as const),
  ];
  for (const [field, word, parsed] of words) if (!parsed.ok) complain(`${field} ${word}`, parsed.reason);
}

export function checkDescription(text: string, complain: Complain): void {
  if (text.length > DESCRIPTION_MAX) complain('description', `must have at most ${DESCRIPTION_MAX} characters`);
  if (hasControlCharacters(text.replaceAll('\n', ' '))) complain('description', 'must not hold control characters');
}

function named(wish: SetOptions): typeof OPTIONS {
  return OPTIONS.filter(({ field }) => wish[field] !== undefined);
}

function wholeMib(bytes: bigint | undefined): bigint | undefined {
  return bytes === undefined ? undefined : ((bytes + MIB - 1n) / MIB) * MIB;
}

/** Proxmox stores tags in lower case and sorted, unless the datacenter says otherwise. */
function folded(tags: readonly string[]): string {
  return [...new Set(tags.map((tag) => tag.toLowerCase()))].sort().join(';');
}
