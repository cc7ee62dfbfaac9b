/** For tests: a host in a folder of its own, and a call of one tool with its streams collected. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tool, ToolIo } from './call/tool.ts';
import { createHost } from './fleet/new-host.ts';
import type { Host, HostSpec } from './host/host.ts';

/** The caller removes `host.root` when it is done. */
export function scratchHost(spec: Partial<HostSpec> = {}): Host {
  const root = mkdtempSync(join(tmpdir(), 'pxsim-'));
  return createHost(root, { name: 'pve1', cores: 2, memoryBytes: 2 ** 31, ...spec });
}

export interface Collected {
  readonly io: ToolIo;
  readonly stdout: () => string;
  readonly stderr: () => string;
}

export function collectIo(stdin = ''): Collected {
  const streams = { out: [] as Uint8Array[], err: [] as Uint8Array[] };
  const take = (to: Uint8Array[]) => (data: string | Uint8Array) => void to.push(Buffer.from(data));
  const io: ToolIo = {
    stdin: bytesOf(stdin),
    out: take(streams.out),
    err: take(streams.err),
    signal: new AbortController().signal,
    env: {},
  };
  return {
    io,
    stdout: () => Buffer.concat(streams.out).toString('utf8'),
    stderr: () => Buffer.concat(streams.err).toString('utf8'),
  };
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  if (text !== '') yield Buffer.from(text);
}

export interface ToolResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function callTool(tool: Tool, host: Host, argv: readonly string[]): Promise<ToolResult> {
  const { io, stdout, stderr } = collectIo();
  const status = await tool(host, argv, io);
  return { status, stdout: stdout(), stderr: stderr() };
}
