/**
 * Methods of the API that change something: each is a sub-command of a tool under another name (pve-container
 * src/PVE/API2/LXC.pm and below it), so the verbs of pct/ do the work. Who calls decides about words, rights and output.
 */

import { ToolError, type ToolIo } from '../call/tool.ts';
import { requirePmxcfs } from '../cluster/pmxcfs.ts';
import type { Host } from '../host/host.ts';
import { type RightsCheck, text, type Verb, type VerbHandler } from '../pct/context.ts';
import { CONTAINER_VERBS } from '../pct/verbs.ts';
import { checkParameters } from '../schema/command.ts';
import type { Parameters } from '../schema/property.ts';
import { type CommandSchema, toolSchema } from '../schema/schema-data.ts';
import { refuseRootParameters } from './token-rights.ts';

export type HttpVerb = 'GET' | 'POST' | 'PUT' | 'DELETE';

const CONTAINER = String.raw`nodes/(?<node>[^/]+)/lxc/(?<vmid>\d+)`;
const STORAGE = String.raw`nodes/(?<node>[^/]+)/storage/(?<storage>[^/]+)`;
/** Methods that no tool has as a sub-command. */
const OWN_METHODS: Readonly<Record<string, () => Promise<VerbHandler>>> = {
  stop_task: async () => async (verb) => {
    (await import('./tasks.ts')).stopTask(verb.host, decodeURIComponent(text(verb, 'upid') ?? ''));
    return 0;
  },
  'oci-registry-pull': async () => (await import('./registry.ts')).ociRegistryPull,
  'download-url': async () => (await import('./registry.ts')).downloadUrl,
};
const ROWS: readonly (readonly [verb: HttpVerb, path: string, command: string])[] = [
  ...['oci-registry-pull', 'download-url'].map((name) => ['POST', `${STORAGE}/${name}`, name] as const),
  ['DELETE', 'nodes/(?<node>[^/]+)/tasks/(?<upid>[^/]+)', 'stop_task'],
  ['POST', String.raw`nodes/(?<node>[^/]+)/lxc`, 'create'],
  ['PUT', `${CONTAINER}/config`, 'set'],
  ['DELETE', CONTAINER, 'destroy'],
  ['POST', `${CONTAINER}/clone`, 'clone'],
  ['POST', `${CONTAINER}/migrate`, 'migrate'],
  ['POST', `${CONTAINER}/template`, 'template'],
  ['PUT', `${CONTAINER}/resize`, 'resize'],
  ['POST', `${CONTAINER}/move_volume`, 'move-volume'],
  ['POST', `${CONTAINER}/snapshot`, 'snapshot'],
  ['DELETE', String.raw`${CONTAINER}/snapshot/(?<snapname>[^/]+)`, 'delsnapshot'],
  ['POST', String.raw`${CONTAINER}/snapshot/(?<snapname>[^/]+)/rollback`, 'rollback'],
  ...['start', 'stop', 'shutdown', 'reboot', 'suspend', 'resume'].map(
    (name) => ['POST', `${CONTAINER}/status/${name}`, name] as const,
  ),
];
const METHODS = ROWS.map(([verb, path, command]) => ({ verb, pattern: new RegExp(`^${path}$`), command }));

export interface ApiMethod {
  readonly command: string;
  readonly schema: CommandSchema;
  /** Parameters that the path gives. */
  readonly fixed: Readonly<Record<string, string>>;
}

/** undefined: no such method, or one that only reads. */
export function findMethod(verb: HttpVerb, path: string): ApiMethod | undefined {
  const clean = path.replace(/^\/+|\/+$/g, '');
  for (const { verb: wanted, pattern, command } of METHODS) {
    const match = wanted === verb ? pattern.exec(clean) : null;
    const schema = toolSchema(Object.hasOwn(OWN_METHODS, command) ? 'storage' : 'pct')[command];
    if (match !== null && schema !== undefined) return { command, schema, fixed: { ...match.groups } };
  }
  return undefined;
}

export interface ApiCaller {
  /** Program whose name the cluster's log shows. */
  readonly tool: string;
  readonly io: ToolIo;
  /** The line after a parameter error. */
  readonly usage: string;
  /** For callers other than root itself. */
  readonly checkRights?: RightsCheck;
}

/** The UPID of the task it started, if any. Errors before a task are thrown; a failed task is none. */
export async function callMethod(
  host: Host,
  method: ApiMethod,
  call: { params: Parameters; caller: ApiCaller },
): Promise<string | undefined> {
  requirePmxcfs(host);
  const { caller } = call;
  const { node = host.name, ...fixed } = method.fixed;
  if (node !== host.name) throw new ToolError('proxy handler failed: Host key verification failed.\n');
  const params = { ...call.params, ...fixed };
  checkParameters({ ...params, node }, method.schema.params ?? {});
  if (caller.checkRights !== undefined) refuseRootParameters(call.params);
  let upid: string | undefined;
  const io: ToolIo = { ...caller.io, onTask: (started) => void (upid ??= started) };
  const verb: Verb = {
    tool: caller.tool,
    host,
    io,
    call: { command: method.command, method: method.schema.name ?? '', params, usage: caller.usage },
    vmid: Number(params['vmid'] ?? 0),
    ...(caller.checkRights === undefined ? {} : { checkRights: caller.checkRights }),
  };
  await (await handlerOf(method.command))(verb);
  return upid;
}

async function handlerOf(command: string): Promise<VerbHandler> {
  const load = OWN_METHODS[command] ?? CONTAINER_VERBS[command];
  if (load === undefined) throw new ToolError(`${command} is not part of this stand-in\n`);
  return load();
}
