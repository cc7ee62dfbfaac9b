/**
 * Runs a recorded command line with the machine's real shell and programs on a stand-in host: in a mount namespace of
 * its own, below a root made of the host's directory, the machine's /usr, /proc and device nodes. So `cd /tank/a`,
 * `cat`, pipes and redirections mean what they meant on the recorded host, and PATH leads to the stand-in's tools.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { installTools } from '../../../packages/sim/src/door/exec.ts';
import type { Host } from '../../../packages/sim/src/host/host.ts';
import type { Ran } from './made-outcome.ts';

const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty'] as const;
const LIBRARIES = ['lib', 'lib64', 'sbin'] as const;
/** A loop of forty commands starts forty processes. */
const LIMIT_MS = 240_000;

/** Why this machine cannot do it, or undefined. */
export function shellProblem(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  return spawnSync('unshare', ['-m', '--', 'mount', '--bind', '/proc', '/proc']).status === 0
    ? undefined
    : 'needs mount namespaces';
}

export class HostShell {
  readonly #host: Host;
  readonly #jail: string;
  readonly #script: string;

  /** `folder` is an ancestor of the host's root and of nothing else that matters; the bundle may lie anywhere. */
  constructor(host: Host, folder: string, bundle: string) {
    this.#host = host;
    installTools(host.root, { bundle });
    this.#jail = join(folder, 'jail');
    this.#script = join(folder, 'enter.sh');
    mkdirSync(this.#jail);
    makeMountPoints(host, [folder, dirname(bundle), ...nodeFolder()]);
    writeFileSync(this.#script, enterScript(host, this.#jail, [folder, dirname(bundle), ...nodeFolder()]));
  }

  run(argv: readonly string[], stdin = ''): Promise<Ran> {
    return new Promise((resolve) => {
      const child = spawn('unshare', ['-m', '--', '/bin/sh', this.#script, ...argv], {
        env: {
          PATH: `${this.#host.path('/bin')}:/usr/sbin:/usr/bin:/sbin:/bin`,
          LC_ALL: 'C',
          TZ: 'UTC',
          HOME: '/root',
        },
        cwd: '/',
        timeout: LIMIT_MS,
      });
      const text = { out: '', err: '' };
      child.stdout.on('data', (data: Buffer) => void (text.out += data.toString()));
      child.stderr.on('data', (data: Buffer) => void (text.err += data.toString()));
      child.stdin.on('error', () => undefined); // the program did not read it
      child.stdin.end(stdin);
      child.on('close', (code) => resolve({ exit: code ?? -1, stdout: text.out, stderr: text.err }));
    });
  }
}

/** Only when Node is not below /usr. */
function nodeFolder(): string[] {
  return process.execPath.startsWith('/usr/') ? [] : [dirname(dirname(process.execPath))];
}

function makeMountPoints(host: Host, folders: readonly string[]): void {
  for (const name of ['proc', 'dev', 'usr', 'bin', ...folders]) mkdirSync(host.path(`/${name}`), { recursive: true });
  for (const device of DEVICES) writeFileSync(host.path(`/dev/${device}`), '');
  for (const name of LIBRARIES.filter((entry) => existsSync(`/${entry}`) && !existsSync(host.path(`/${entry}`)))) {
    if (lstatSync(`/${name}`).isSymbolicLink()) symlinkSync(readlinkSync(`/${name}`), host.path(`/${name}`));
    else mkdirSync(host.path(`/${name}`));
  }
}

function enterScript(host: Host, jail: string, folders: readonly string[]): string {
  const real = LIBRARIES.filter((name) => existsSync(`/${name}`) && !lstatSync(`/${name}`).isSymbolicLink());
  const binds = [
    ...['usr', 'bin', ...real, ...DEVICES.map((device) => `dev/${device}`)].map((name) => [`/${name}`, name]),
    ...folders.map((folder) => [folder, folder.slice(1)]),
  ];
  return [
    'set -e',
    `mount --bind '${host.root}' '${jail}'`,
    `mount --rbind /proc '${jail}/proc'`,
    ...binds.map(([from, to]) => `mount --bind '${from ?? ''}' '${jail}/${to ?? ''}'`),
    `exec chroot '${jail}' "$@"`,
    '',
  ].join('\n');
}
