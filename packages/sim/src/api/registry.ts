/**
 * Methods that reach out of the node: an image from a registry, a file from a web server (pve-storage
 * src/PVE/API2/Storage/Status.pm, pve-manager PVE/API2/Nodes.pm). Images are pulled with the machine's skopeo.
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { isIP } from 'node:net';
import { switchesOf } from '../call/switches.ts';
import { ToolError } from '../call/tool.ts';
import { runTask } from '../cluster/task.ts';
import type { Host } from '../host/host.ts';
import { runProgram } from '../host/machine.ts';
import { text, type Verb, type VerbHandler } from '../pct/context.ts';
import { contentFolder, enabledStorage } from '../storage/storages.ts';
import type { Asked } from './asked.ts';

const PULL_LIMIT_MS = 3_600_000;

interface Skopeo {
  readonly args: readonly string[];
  /** What it was about to do, for its own words. */
  readonly doing: string;
  readonly log: (text: string) => void;
}

/** Fails with the words of upstream's run_command; skopeo's own go to `log`. */
async function skopeo(host: Host, reference: string, { args, doing, log }: Skopeo): Promise<string> {
  const failed = (): never => {
    throw new ToolError(`command 'skopeo ${args.join(' ')}' failed: exit code 1\n`, 1);
  };
  if (switchesOf(host).noNetwork === true) {
    log(unreachable(reference, doing));
    return failed();
  }
  const real = args.map((word) =>
    word.replace(/^oci-archive:(.*)$/, (_, path: string) => `oci-archive:${host.path(path)}`),
  );
  const run = { file: 'skopeo', args: real, purpose: 'image from a registry', timeoutMs: PULL_LIMIT_MS };
  const result = await runProgram(run, { onLine: (stream, line) => (stream === 'err' ? log(`${line}\n`) : undefined) });
  return result.exitCode === 0 ? result.stdout : failed();
}

/** skopeo's last words on a node without a name server. */
function unreachable(reference: string, doing: string): string {
  const [first = '', ...rest] = reference.split('/');
  const isHub = rest.length === 0 || first === 'docker.io' || !/[.:]/.test(first);
  const server = isHub ? 'registry-1.docker.io' : first;
  const name = server.replace(/:\d+$/, '');
  const look = `dial tcp: lookup ${name} on [::1]:53: read udp [::1]:40000->[::1]:53: read: connection refused`;
  const message = `${doing}: pinging container registry ${server}: Get \\"https://${server}/v2/\\": ${look}`;
  return `time="${new Date().toISOString().slice(0, 19)}Z" level=fatal msg="${message}"\n`;
}

/** As skopeo shows it: without what the default registry implies. */
function familiar(reference: string): string {
  return reference.replace(/^docker\.io\//, '').replace(/^library\//, '');
}

export async function repositoryTags(host: Host, { params, warn }: Asked): Promise<unknown> {
  const reference = params.get('reference') ?? '';
  const args = ['list-tags', `docker://${reference}`];
  const answer = await skopeo(host, reference, { args, doing: 'Error listing repository tags', log: warn });
  return (JSON.parse(answer) as { Tags?: unknown }).Tags ?? [];
}

/** Where a download of that name goes; throws when the storage cannot take it. */
function targetOf(verb: Verb, content: string, filename: string): string {
  const folder = contentFolder(enabledStorage(verb.host, text(verb, 'storage') ?? ''), content);
  if (folder === undefined)
    throw new ToolError(`storage '${text(verb, 'storage') ?? ''}' does not support '${content}' content\n`);
  const path = `${folder}/${filename}`;
  if (existsSync(verb.host.path(path))) throw new ToolError(`refusing to override existing file '${filename}'\n`);
  return path;
}

export const ociRegistryPull: VerbHandler = async (verb) => {
  const reference = text(verb, 'reference') ?? '';
  const given = text(verb, 'filename') ?? reference.replace(/^.*\//, '').replace(':', '_');
  const filename = given.endsWith('.tar') ? given : `${given}.tar`;
  const path = targetOf(verb, 'vztmpl', filename);
  const spec = { type: 'ociregistrypull', id: filename, tool: verb.tool };
  const end = await runTask(verb, spec, async (task) => {
    const temporary = `${path}.tmp.${process.pid}`;
    const args = ['copy', `docker://${reference}`, `oci-archive:${temporary}`];
    const doing = `initializing source docker://${familiar(reference)}`;
    try {
      await skopeo(verb.host, reference, { args, doing, log: task.log });
      renameSync(verb.host.path(temporary), verb.host.path(path));
    } finally {
      rmSync(verb.host.path(temporary), { force: true });
    }
  });
  return end.isError ? 255 : 0;
};

/** Without a network only: there is no web client here. */
export const downloadUrl: VerbHandler = async (verb) => {
  const [url, filename] = [text(verb, 'url') ?? '', text(verb, 'filename') ?? ''];
  const path = targetOf(verb, text(verb, 'content') ?? '', filename);
  if (switchesOf(verb.host).noNetwork !== true) throw new ToolError('downloads are not part of this stand-in\n');
  const end = await runTask(verb, { type: 'download', id: filename, tool: verb.tool }, async (task) => {
    task.log(`downloading ${url} to ${path}\n`);
    task.log(`--${new Date().toISOString().slice(0, 19).replace('T', ' ')}--  ${url}\n`);
    throw new ToolError(`download failed: ${wgetFailure(new URL(url), task.log)}\n`);
  });
  return end.isError ? 255 : 0;
};

function wgetFailure({ hostname, port, protocol }: URL, log: (line: string) => void): string {
  const number = port === '' ? (protocol === 'https:' ? '443' : '80') : port;
  if (isIP(hostname) !== 0) return `Connecting to ${hostname}:${number}... failed: No route to host.`;
  log(`Resolving ${hostname} (${hostname})... failed: Temporary failure in name resolution.\n`);
  return `wget: unable to resolve host address ‘${hostname}’`;
}
