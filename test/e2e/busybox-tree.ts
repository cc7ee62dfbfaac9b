/** The smallest system that Proxmox takes as a container template: Debian by its files, busybox by its programs. */
import { readFileSync } from 'node:fs';
import type { TreeEntry } from '@pxmgr/sim/oci/image-writer';

const APPLETS = ['sh', 'cat', 'echo', 'ls', 'sleep', 'ps', 'kill', 'true'];
const FOLDERS = ['bin', 'dev', 'etc', 'etc/network', 'proc', 'root', 'run', 'sbin', 'sys', 'tmp', 'var'];
/** An init that ends when it is asked to. */
const INIT = '#!/bin/sh\ntrap "exit 0" TERM INT PWR RTMIN+3\nwhile true; do sleep 1; done\n';

export function busyboxTree(): TreeEntry[] {
  return [
    ...FOLDERS.map((path): TreeEntry => ({ path: `./${path}/`, type: 'directory' })),
    { path: './bin/busybox', mode: 0o755, content: readFileSync('/bin/busybox') },
    ...APPLETS.map((name): TreeEntry => ({ path: `./bin/${name}`, type: 'symlink', to: 'busybox' })),
    { path: './sbin/init', mode: 0o755, content: INIT },
    { path: './etc/debian_version', content: '12.5\n' },
    { path: './etc/issue', content: 'tiny\n' },
    { path: './etc/hostname', content: 'tiny\n' },
    { path: './etc/passwd', content: 'root:x:0:0:root:/root:/bin/sh\n' },
    { path: './etc/group', content: 'root:x:0:\n' },
  ];
}
