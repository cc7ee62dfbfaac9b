/** Where a fault can be put. The README of this package says the same in one table; a test compares them. */
export const FAULT_POINTS = {
  begin: 'before the command does anything',
  end: 'before the command exits',
  'before-lock': 'everything is checked, the lock or the reservation of an id is not yet taken',
  'after-lock': 'the lock, or the reservation of an id, is taken',
  'after-prepare': 'a snapshot is prepared in the config, none is taken',
  mkfs: 'a raw volume exists, its file system is made',
  'after-volume': 'a volume was made, copied, converted or deleted',
  listing: 'a template is about to be looked through, before anything of it is unpacked',
  'mid-extract': 'between two entries of the archive',
  'before-config': 'everything is done but the last write of the config',
  'before-verdict': 'the work of a task is done, the last line of its log is not yet written',
  'before-removal': 'nothing is left of the guest but a config with `lock: destroyed`, which is about to go',
  'between-configs': 'the volume has left one config and is not yet in the other',
  'mid-write': 'half of a file below /etc/pve is written, under its temporary name',
  'before-start': 'the guest is about to be started',
  'after-start': 'the guest runs, the task has not ended',
  'before-halt': 'the halt signal is about to be sent',
  'before-move': 'the volumes are on the other node, the config is not',
} as const;

export type FaultPointName = keyof typeof FAULT_POINTS;
