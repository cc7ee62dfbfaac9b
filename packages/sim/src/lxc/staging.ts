/**
 * What must lie at a known place before LXC sets the guest up. As on a node, the guest's tree appears at
 * `/var/lib/lxc/<vmid>/rootfs`, and only there: the monitor has its own mount namespace (lxc.monitor.unshare), in which
 * the pre-start hook lays a tmpfs over /var/lib/lxc and binds everything into it. So nothing is mounted for the rest
 * of the machine, nothing is left when the guest ends, and the host's directory may be closed to other users,
 * although the guest's root has no rights on it.
 */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface BindStage {
  readonly kind: 'bind';
  readonly source: string;
  /** Below the guest's directory: `rootfs`, `rootfs/data`, `staged/0`. */
  readonly target: string;
  readonly readOnly: boolean;
}

export interface DeviceStage {
  readonly kind: 'device';
  readonly target: string;
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  readonly uid: number;
  readonly gid: number;
  /** Octal. */
  readonly mode: string;
}

export interface CopyStage {
  readonly kind: 'copy';
  readonly source: string;
  readonly target: string;
}

export type Stage = BindStage | DeviceStage | CopyStage;

/** Where a staged thing is seen from inside the monitor's mount namespace. */
export function stagedPath(vmid: number, target: string): string {
  return `/var/lib/lxc/${vmid}/${target}`;
}

/** Reads lines of tab-separated words; the words are data, never evaluated. */
const HOOK = `#!/bin/sh
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
table=$1
guest=/var/lib/lxc/$2
mount -t tmpfs -o mode=755 pxsim /var/lib/lxc
mkdir -p "$guest/rootfs" "$guest/staged"
tab=$(printf '\\t')
while IFS="$tab" read -r kind target a b c d e f; do
  case $kind in
    bind)
      if [ -d "$a" ]; then mkdir -p "$guest/$target"; else mkdir -p "$(dirname "$guest/$target")"; touch "$guest/$target"; fi
      mount --rbind "$a" "$guest/$target"
      if [ "$b" = ro ]; then mount -o remount,bind,ro "$guest/$target"; fi
      ;;
    device)
      mkdir -p "$(dirname "$guest/$target")"
      mknod "$guest/$target" "$a" "$b" "$c"
      chown "$d:$e" "$guest/$target"
      chmod "$f" "$guest/$target"
      ;;
    copy)
      mkdir -p "$(dirname "$guest/$target")"
      cp "$a" "$guest/$target"
      chmod 755 "$guest/$target"
      ;;
  esac
done < "$table"
`;

/** Writes hook and table into the directory; the value for lxc.hook.pre-start. */
export function writeStaging(directory: string, vmid: number, stages: readonly Stage[]): string {
  const table = join(directory, 'stages');
  const hook = join(directory, 'pre-start');
  writeFileSync(table, stages.map((stage) => `${words(stage).map(checked).join('\t')}\n`).join(''));
  writeFileSync(hook, HOOK);
  chmodSync(hook, 0o755);
  return `${shellWord(hook)} ${shellWord(table)} ${vmid}`;
}

function words(stage: Stage): string[] {
  switch (stage.kind) {
    case 'bind':
      return ['bind', stage.target, stage.source, stage.readOnly ? 'ro' : 'rw'];
    case 'device':
      return [
        'device',
        stage.target,
        stage.type,
        String(stage.major),
        String(stage.minor),
        String(stage.uid),
        String(stage.gid),
        stage.mode,
      ];
    case 'copy':
      return ['copy', stage.target, stage.source];
  }
}

function checked(word: string): string {
  if (/[\t\n\\]/.test(word)) throw new Error(`a path with a tab, line feed or backslash cannot be mounted: ${word}`);
  return word;
}

/** LXC hands hooks to a shell, so a word is quoted for one. */
export function shellWord(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
