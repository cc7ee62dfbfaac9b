import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addGpu } from '../../packages/sim/src/host/devices.ts';
import type { Host } from '../../packages/sim/src/host/host.ts';
import { runProgram } from '../../packages/sim/src/host/machine.ts';
import { runningGuest } from '../../packages/sim/src/host/running.ts';
import { buildDemoImage, DEMO_PORT } from '../../packages/sim/src/image.fixture.ts';
import { canRunLxc } from '../../packages/sim/src/lxc/can-run.ts';
import { lxcGuest } from '../../packages/sim/src/lxc/lxc-command.ts';
import { lxcRuntime } from '../../packages/sim/src/runtime/lxc.ts';
import type { GuestMount, StartResult } from '../../packages/sim/src/runtime/runtime.ts';
import { callTool, collectIo, scratchHost } from '../../packages/sim/src/scratch-host.ts';
import { extract } from '../../packages/sim/src/storage/rootfs.ts';
import { emptyConfig, type GuestConfig } from '../../packages/sim/src/text/guest-config.ts';
import { lxcAttach } from '../../packages/sim/src/tool/lxc-attach.ts';
import { lxcInfo } from '../../packages/sim/src/tool/lxc-info.ts';

const ability = await canRunLxc();
if (!ability.ok) process.stderr.write(`skipped: really started guests (${ability.reason})\n`);

const VMID = 101;
const LIMIT_MS = 30_000;
const signal = new AbortController().signal;
const hosts: Host[] = [];

interface Ready {
  readonly host: Host;
  readonly rootfs: string;
  readonly mounts: GuestMount[];
  readonly env: string;
}

/** A host with the demo image unpacked, its /data as a volume. */
async function readyHost(name: string): Promise<Ready> {
  const host = scratchHost({ name, runtime: 'lxc' });
  hosts.push(host);
  const image = await buildDemoImage(host.path('/var/lib/vz/template/cache'), { name: 'hello', version: name });
  const rootfs = host.path('/volumes/root');
  const source = host.path('/volumes/data');
  for (const folder of [rootfs, source]) mkdirSync(folder, { recursive: true });
  const owner = { host, vmid: VMID, idBase: 100_000 };
  const { oci } = await extract(image.path, rootfs, {
    ...owner,
    mounts: [{ target: '/data', source }],
    log: () => undefined,
    signal,
  });
  return {
    host,
    rootfs,
    mounts: [{ key: 'mp0', source, target: '/data', readOnly: false }],
    env: (oci?.env ?? []).join('\0'),
  };
}

function guestConfig(ready: Ready, changes: Record<string, string> = {}): GuestConfig {
  const config = emptyConfig();
  const values = {
    hostname: 'web',
    memory: '64',
    ostype: 'alpine',
    entrypoint: '/usr/local/bin/serve',
    env: ready.env,
    net0: 'name=eth0,bridge=vmbr0,host-managed=1,hwaddr=BC:24:11:1D:2E:3F,ip=dhcp,type=veth',
    ...changes,
  };
  for (const [key, value] of Object.entries(values)) config.values.set(key, value);
  config.raw.push(
    ['lxc.init.uid', '1000'],
    ['lxc.init.gid', '1000'],
    ['lxc.init.cwd', '/srv'],
    ['lxc.signal.halt', 'SIGTERM'],
  );
  return config;
}

let output = '';
const log = (text: string): void => void (output += text);

function start(
  ready: Ready,
  config = guestConfig(ready),
  mounts: readonly GuestMount[] = ready.mounts,
): Promise<StartResult> {
  output = '';
  return lxcRuntime.start({
    host: ready.host,
    vmid: VMID,
    config,
    rootfs: ready.rootfs,
    mounts,
    unprivileged: true,
    log,
    signal,
  });
}

async function started(ready: Ready, config?: GuestConfig): Promise<number> {
  const result = await start(ready, config);
  if (!result.ok) throw new Error(`${result.error}: ${output}`);
  return result.pid;
}

async function run(
  host: Host,
  argv: string[],
  stdin = '',
): Promise<{ status: number; stdout: string; stderr: string }> {
  const { io, stdout, stderr } = collectIo(stdin);
  const status = await lxcRuntime.exec(host, VMID, { argv, keepEnv: false, io });
  return { status, stdout: stdout(), stderr: stderr() };
}

/** Waits for a state, with a limit. */
async function until(state: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + LIMIT_MS;
  while (!(await state())) {
    if (Date.now() > end) throw new Error('the state did not come');
    await sleep(20);
  }
}

function addressOf(host: Host, pid: number): string {
  const trie = readFileSync(host.path(`/proc/${pid}/net/fib_trie`), 'utf8');
  return (
    /(\d+\.\d+\.\d+\.\d+)\n\s+\/32 host LOCAL/.exec(
      trie.replaceAll(/\|-- 127\.[\d.]+\n\s+\/32 host LOCAL/g, ''),
    )?.[1] ?? ''
  );
}

async function page(host: Host, pid: number, path: string): Promise<string> {
  const url = `http://${addressOf(host, pid)}:${DEMO_PORT}${path}`;
  let text = '';
  await until(async () => {
    const result = await runProgram({ file: 'curl', args: ['-s', '-m', '2', '--noproxy', '*', url], purpose: 'test' });
    text = result.stdout;
    return result.exitCode === 0;
  });
  return text;
}

/** Nothing of the guest is left on this machine. */
async function expectNothingLeft(host: Host): Promise<void> {
  const { name } = lxcGuest(host, VMID);
  // LXC's monitor goes when its hook has ended, a moment after lxc-stop or a failed lxc-start has returned.
  await until(() => !readdirSync('/proc').some((pid) => readText(`/proc/${pid}/cmdline`).includes(name)));
  expect(readText('/proc/self/mountinfo')).not.toContain(host.root);
  expect(
    existsSync(`/sys/fs/cgroup/pids/lxc.payload.${name}`) || existsSync(`/sys/fs/cgroup/lxc.payload.${name}`),
  ).toBe(false);
  for (const bridge of readdirSync(host.simPath('lxc-net'))) expect(existsSync(`/sys/class/net/${bridge}`)).toBe(false);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function expectShown(host: Host, pid: number | undefined): void {
  const sockets = readText(host.path('/proc/net/unix'));
  expect(sockets.includes(`@/var/lib/lxc/${VMID}/command`)).toBe(pid !== undefined);
  expect(readText(host.path(`/sys/fs/cgroup/lxc/${VMID}/cgroup.procs`))).toBe(pid === undefined ? '' : `${pid}\n`);
  expect(
    existsSync(host.path(`/sys/fs/cgroup/system.slice/system-pve\\x2dcontainer.slice/pve-container@${VMID}.service`)),
  ).toBe(pid !== undefined);
}

describe.skipIf(!ability.ok)('a really started guest', () => {
  let ready: Ready;
  beforeAll(async () => {
    ready = await readyHost('pve1');
  }, LIMIT_MS);
  afterAll(async () => {
    for (const host of hosts) {
      await lxcRuntime.stop(host, VMID, () => undefined);
      rmSync(host.root, { recursive: true, force: true });
    }
  }, LIMIT_MS);

  it(
    'serves its page, is shown as a node shows it, keeps its data and leaves nothing behind',
    async () => {
      const { host } = ready;
      const pid = await started(ready);
      expectShown(host, pid);
      expect(await page(host, pid, '/')).toContain('<h1>hello pve1</h1>');
      expect(Number(readText(host.path(`/sys/fs/cgroup/lxc/${VMID}/memory.current`)))).toBeGreaterThan(0);
      expect(await page(host, pid, '/data/history')).toBe('created\nstarted pve1\n');
      expect(readText(host.path(`/proc/${pid}/net/tcp6`))).toContain(`:${DEMO_PORT.toString(16).toUpperCase()}`);
      await until(() =>
        readText(host.path(`/var/log/lxc/${VMID}.log`)).includes('hello pve1 starts as 1000:1000 on port 8080'),
      );
      expect((await callTool(lxcInfo, host, ['-n', String(VMID), '-p', '-H'])).stdout).toBe(`${pid}\n`);
      expect(await lxcRuntime.shutdown(host, VMID, { timeoutMs: 10_000, log, signal })).toBe(true);
      expectShown(host, undefined);
      expect(readText(host.path(`/var/log/lxc/${VMID}.log`))).toContain('hello stops');
      expect(existsSync(host.path(`/proc/${pid}`))).toBe(false);
      await expectNothingLeft(host);
      await started(ready);
      await lxcRuntime.stop(host, VMID, log);
      expect(readText(`${ready.mounts[0]?.source ?? ''}/history`)).toBe('created\nstarted pve1\nstarted pve1\n');
      await expectNothingLeft(host);
    },
    LIMIT_MS,
  );

  it(
    'runs commands with their streams, ids and statuses',
    async () => {
      const { host } = ready;
      await started(ready);
      const first = await run(host, ['sh', '-c', 'cat; id -u; hostname; echo oops >&2; exit 7'], 'from outside\n');
      expect(first).toEqual({ status: 7, stdout: 'from outside\n0\nweb\n', stderr: 'oops\n' });
      expect((await run(host, ['sh', '-c', 'kill -9 $$'])).status).toBe(137);
      expect(await run(host, ['nosuch'])).toMatchObject({
        status: 127,
        stderr: expect.stringMatching(/^lxc-attach: 101: .*Failed to exec "nosuch"\n$/) as string,
      });
      expect((await run(host, ['/etc'])).status).toBe(126);
      const attached = await callTool(lxcAttach, host, [
        '-n',
        String(VMID),
        '--clear-env',
        '--set-var',
        'MARK=a b',
        '-u',
        '1000',
        '-g',
        '1000',
        '--',
        'sh',
        '-c',
        'id -u; echo "$MARK $APP_NAME"',
      ]);
      expect(attached).toEqual({ status: 0, stdout: '1000\na b hello\n', stderr: '' });
      await lxcRuntime.stop(host, VMID, log);
      expect(await callTool(lxcAttach, host, ['-n', String(VMID), '--', 'true'])).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('Connection refused') as string,
      });
    },
    LIMIT_MS,
  );

  it(
    'is seen as stopped when its program ends by itself',
    async () => {
      const { host } = ready;
      const pid = await started(
        ready,
        guestConfig(ready, { entrypoint: "/bin/sh -c 'while ! test -e /data/end; do sleep 0.1; done'" }),
      );
      expectShown(host, pid);
      await run(host, ['touch', '/data/end']);
      // The hook's process takes the signs away one after the other, the link to the init process last.
      await until(() => lstatSync(host.path(`/proc/${pid}`), { throwIfNoEntry: false }) === undefined);
      expect(runningGuest(host, VMID)).toBeUndefined();
      expectShown(host, undefined);
      rmSync(`${ready.mounts[0]?.source ?? ''}/end`);
      await expectNothingLeft(host);
    },
    LIMIT_MS,
  );

  it(
    'fails to start with what LXC says, and leaves nothing behind',
    async () => {
      const missing = await start(ready, guestConfig(ready, { entrypoint: '/nosuch' }));
      expect(missing).toEqual({ ok: false, error: `startup for container '${VMID}' failed` });
      expect(output).toMatch(/^start: \d+ No such file or directory - Failed to exec "\/nosuch"\n/);
      expect(await start(ready, guestConfig(ready, { dev0: '/dev/nosuch' }))).toEqual({
        ok: false,
        error: 'Device /dev/nosuch does not exist',
      });
      expect(await start(ready, guestConfig(ready, { entrypoint: '/bin/true' }))).toEqual({
        ok: false,
        error: `unable to get PID for CT ${VMID} (not running?)`,
      });
      expectShown(ready.host, undefined);
      await expectNothingLeft(ready.host);
    },
    LIMIT_MS,
  );

  it(
    'gets devices with the ids asked for, and read-only mounts',
    async () => {
      const { host } = ready;
      await addGpu(host, { kind: 'intel', address: '0000:00:02.0' });
      const readOnly = ready.mounts.map((mount) => ({ ...mount, readOnly: true }));
      const config = guestConfig(ready, {
        dev0: '/dev/dri/renderD128,gid=104,mode=0660',
        entrypoint: '/bin/sleep 1000',
      });
      expect(await start(ready, config, readOnly)).toMatchObject({ ok: true });
      expect((await run(host, ['stat', '-c', '%F %u %g %a', '/dev/dri/renderD128'])).stdout).toBe(
        'character special file 0 104 660\n',
      );
      expect(await run(host, ['touch', '/data/x'])).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('Read-only file system') as string,
      });
      await lxcRuntime.stop(host, VMID, log);
    },
    LIMIT_MS,
  );

  it(
    'does not meet the guest of the same id on another host',
    async () => {
      const other = await readyHost('pve2');
      const [one, two] = [await started(ready), await started(other)];
      expect(await page(ready.host, one, '/')).toContain('hello pve1');
      expect(await page(other.host, two, '/')).toContain('hello pve2');
      await lxcRuntime.stop(ready.host, VMID, log);
      expect(await page(other.host, two, '/')).toContain('hello pve2');
      await lxcRuntime.stop(other.host, VMID, log);
      await expectNothingLeft(other.host);
    },
    LIMIT_MS,
  );
});
