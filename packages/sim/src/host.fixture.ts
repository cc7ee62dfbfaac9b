/** For tests: a host in a fresh folder with a small template, and its tools called as functions. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ToolIo } from './call/tool.ts';
import { createHost } from './fleet/new-host.ts';
import type { Host, HostSpec } from './host/host.ts';
import { TOOLS } from './tool/all-tools.ts';

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TestHost {
  readonly host: Host;
  run(tool: string, ...argv: readonly string[]): Promise<Ran>;
  /** SIGTERM to every call that runs. */
  stopCalls(): void;
  remove(): void;
}

/** Name of a plain root archive without os-release that every test host has. */
export const SMALL_TEMPLATE = 'local:vztmpl/small_1_amd64.tar.gz';

export function makeHost(spec: Partial<HostSpec> = {}): TestHost {
  const folder = mkdtempSync(join(tmpdir(), 'pxmgr-sim-'));
  const host = createHost(join(folder, 'root'), { name: 'pve1', cores: 4, memoryBytes: 8 * 1024 ** 3, ...spec });
  putSmallTemplate(host, folder);
  let stopped = new AbortController();
  return {
    host,
    run: (tool, ...argv) => runTool(host, [tool, ...argv], { signal: stopped.signal }),
    stopCalls: () => {
      stopped.abort();
      stopped = new AbortController();
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function putSmallTemplate(host: Host, folder: string): void {
  const tree = join(folder, 'tree');
  for (const name of ['bin', 'etc', 'sbin']) mkdirSync(join(tree, name), { recursive: true });
  writeFileSync(join(tree, 'etc/motd'), 'hello\n');
  writeFileSync(join(tree, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n');
  execFileSync('tar', ['-C', tree, '-czf', host.path('/var/lib/vz/template/cache/small_1_amd64.tar.gz'), '.']);
}

export async function runTool(
  host: Host,
  command: readonly [tool: string, ...argv: string[]],
  io: Partial<ToolIo> = {},
): Promise<Ran> {
  const [tool, ...argv] = command;
  let stdout = '';
  let stderr = '';
  const load = TOOLS[tool];
  if (load === undefined) throw new Error(`no tool ${tool}`);
  const status = await (await load())(host, argv, {
    stdin: (async function* () {})(),
    out: (data) => void (stdout += Buffer.from(data).toString()),
    err: (data) => void (stderr += Buffer.from(data).toString()),
    signal: new AbortController().signal,
    env: {},
    ...io,
  });
  return { status, stdout, stderr };
}
