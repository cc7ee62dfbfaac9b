/** What a program can do inside the walls of a unit: the same unit with another program in it. */
import type { SystemdHost } from './systemd-host.ts';

const SCRIPT = `#!/bin/sh
# Each line: what was tried, tab, "ok" or the kernel's answer where the program passes it on.
state=$1
said() { grep -oE 'Read-only file system|Operation not permitted' "$err" || echo refused; }
err=$(mktemp)
try() {
  name=$1
  shift
  if "$@" 2>"$err" >/dev/null; then printf '%s\\tok\\n' "$name"; else printf '%s\\t%s\\n' "$name" "$(said)"; fi
}
see() { if [ -e "$2" ]; then printf '%s\\tyes\\n' "$1"; else printf '%s\\tno\\n' "$1"; fi; }
try 'write /etc' touch /etc/pxmgr-probe
try 'write /usr' touch /usr/pxmgr-probe
try 'write its state' touch "$state/probe"
see 'see /home' /home/pxmgr-probe
see 'see /tmp of others' /tmp/PROBE
see 'see other processes' /proc/1
see 'see devices' /dev/pxmgr-probe
try 'make a namespace' unshare --uts true
try 'mount' mount -t tmpfs pxmgr-probe /mnt
try 'set the set-uid bit' chmod u+s "$state/probe"
`;

/** Lines of the unit that are about the program, not about the walls around it. */
const PROGRAM_LINES =
  /^(?:Type|NotifyAccess|ExecStart|ExecReload|WatchdogSec|Restart\w*|KillMode|RuntimeDirectory\w*)=.*\n/gm;

export async function probe(host: SystemdHost, unit: string): Promise<Record<string, string>> {
  const name = `probe-${unit}`;
  const state = `/var/lib/${unit.replace('.service', '')}`;
  const text = await host.text('cat', `/etc/systemd/system/${unit}`);
  const own = [
    'Type=oneshot',
    `ExecStart=/usr/bin/pxmgr-probe ${state}`,
    `StandardOutput=file:/run/${name}`,
    `StandardError=file:/run/${name}.err`,
  ];
  await put(
    host,
    `/etc/systemd/system/${name}`,
    text.replace(PROGRAM_LINES, '').replace('[Service]\n', `[Service]\n${own.join('\n')}\n`),
  );
  await put(host, '/usr/bin/pxmgr-probe', SCRIPT);
  await host.text('chmod', '755', '/usr/bin/pxmgr-probe');
  await host.text('touch', '/home/pxmgr-probe', '/tmp/PROBE', '/dev/pxmgr-probe');
  await host.text('systemctl', 'daemon-reload');
  await host.text('systemctl', 'start', name);
  const lines = (await host.text('cat', `/run/${name}`)).trim().split('\n');
  const outside = await host.run('findmnt', '--source', 'pxmgr-probe');
  await host.run('umount', '/mnt');
  return {
    ...Object.fromEntries(lines.map((line) => line.split('\t') as [string, string])),
    'its mounts are seen outside': outside.exitCode === 0 ? 'yes' : 'no',
  };
}

async function put(host: SystemdHost, path: string, text: string): Promise<void> {
  const encoded = Buffer.from(text).toString('base64');
  await host.text('sh', '-euc', `echo ${encoded} | base64 -d >${path}`);
}
