import { limits } from '@pxmgr/contract';
import { durationMs, field, type Values } from '@pxmgr/kit/config/field';
import { type Loaded, loadConfig } from '@pxmgr/kit/config/load';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import * as z from 'zod';

export const CONFIG_PROGRAM = 'pxmgr-controller';
export const CONFIG_FILE = '/etc/pxmgr/controller.yaml';
export const ENV_PREFIX = 'PXMGR_CONTROLLER_';

const address = z.string().regex(/^(?:\[[^\]]+\]|[^:\s]+):\d{1,5}$/, 'must be host:port');
const optionalAddress = z.union([z.literal(''), address]);
const vmid = z.coerce.number().int().min(limits.VMID_MIN).max(limits.VMID_MAX);

const PveEndpoint = z.strictObject({
  name: z.string().min(1),
  /** host:port of pveproxy. */
  address,
  /** SHA-256 of its certificate, as `pvenode cert info` prints it. */
  fingerprint: z.string().regex(/^(?:[0-9A-Fa-f]{2}:?){32}$/, 'must be a SHA-256 fingerprint (32 bytes in hex)'),
  /** File with USER@REALM!TOKENID=SECRET. */
  token_file: z.string().startsWith('/'),
});

/** One Proxmox API that is asked besides the agents. */
export type PveEndpoint = z.output<typeof PveEndpoint>;

/** Every option of the controller. */
export const CONFIG = {
  state_dir: field({
    type: z.string().startsWith('/'),
    default: '/var/lib/pxmgr-controller',
    description: 'Folder for keys, database and message store.',
  }),
  listen: field({
    type: address,
    default: '0.0.0.0:7443',
    description: 'Address of the gRPC service for operators and agents (mutual TLS).',
  }),
  join_listen: field({
    type: address,
    default: '0.0.0.0:7444',
    description: 'Address where new agents join (TLS without client certificate).',
  }),
  advertise: field({
    type: z.array(z.string().min(1)),
    default: [],
    description:
      'Host names or addresses that agents and operators reach this controller by, the preferred one first. Empty = host name and addresses of this machine.',
    example: '[pxmgr.example.org, 192.0.2.10]',
  }),
  unix_socket: field({
    type: z.union([z.literal(''), z.string().startsWith('/')]),
    default: '/run/pxmgr/controller.sock',
    description: 'Socket for root on this machine; empty = none.',
  }),
  nats_url: field({
    type: z.string(),
    default: '',
    description:
      'Address of an existing NATS (tls://host:port, several separated by commas). Empty = a nats-server is run and supervised here.',
  }),
  nats_listen: field({ type: address, default: '0.0.0.0:4222', description: 'Address of the supervised nats-server.' }),
  nats_server_path: field({
    type: z.string().min(1),
    default: 'nats-server',
    description: 'Program name or absolute path of nats-server.',
  }),
  nats_keys: field({
    type: z.string().optional(),
    description:
      'Operator, account and signing seeds of an existing NATS, as JSON with the names in nats/keys.json of the state directory.',
    secret: true,
  }),
  nats_ca_file: field({
    type: z.union([z.literal(''), z.string().startsWith('/')]),
    default: '',
    description: 'CA certificate of an existing NATS; empty = our own CA.',
  }),
  database: field({
    type: z.union([z.literal(''), z.string().startsWith('/')]),
    default: '',
    description: 'Database file; empty = controller.db in state_dir.',
  }),
  vmid_first: field({ type: vmid, default: 100, description: 'Lowest vmid that is given to new guests.' }),
  vmid_last: field({ type: vmid, default: 999_999, description: 'Highest vmid that is given to new guests.' }),
  change_retention: field({ type: durationMs(), default: '365d', description: 'How long changes are kept.' }),
  audit_retention: field({ type: durationMs(), default: '365d', description: 'How long the audit log is kept.' }),
  log_level: field({
    type: z.enum(['trace', 'debug', 'info', 'warn', 'error']),
    default: 'info',
    description: 'Least severe level that is logged.',
    reload: true,
  }),
  metrics_listen: field({
    type: optionalAddress,
    default: '127.0.0.1:9444',
    description: 'Address of the Prometheus metrics; empty = none.',
  }),
  path: field({
    type: z.string().min(1),
    default: '/usr/sbin:/usr/bin:/sbin:/bin',
    description: 'Where programs are looked for.',
  }),
  pve_endpoints: field({
    type: z.array(PveEndpoint),
    default: [],
    description: 'Proxmox APIs to ask besides the agents, each with name, address, fingerprint and token_file.',
  }),
} as const;

export type Config = Values<typeof CONFIG>;

export interface ConfigSource {
  readonly file: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** By flag name without dashes. */
  readonly flags: Readonly<Record<string, string>>;
}

/** Errors: PXM_CONFIG_INVALID with all problems at once, PXM_CONFIG_UNREADABLE. */
export function loadControllerConfig(source: ConfigSource): Loaded<typeof CONFIG> {
  const { file, env, flags } = source;
  const loaded = loadConfig(CONFIG, {
    program: CONFIG_PROGRAM,
    file: file ?? CONFIG_FILE,
    fileOptional: file === undefined,
    env,
    flags,
    envPrefix: ENV_PREFIX,
  });
  const problems = contradictions(loaded.values);
  if (problems.length > 0)
    throw new PxmError('PXM_CONFIG_INVALID', {
      program: CONFIG_PROGRAM,
      count: String(problems.length),
      problems: problems.join('; '),
    });
  return loaded;
}

/** What no single option can know. */
function contradictions(values: Config): string[] {
  const problems: string[] = [];
  if (values.vmid_first > values.vmid_last) problems.push('vmid_first is above vmid_last');
  if (values.nats_url !== '' && (values.nats_keys ?? '') === '')
    problems.push('nats_url needs nats_keys_file: without its signing keys no agent can be let in');
  if (values.metrics_listen !== '' && !/^(?:127\.0\.0\.1|\[::1\]):/.test(values.metrics_listen))
    problems.push('metrics_listen must be on 127.0.0.1 or [::1]');
  const names = values.pve_endpoints.map((endpoint) => endpoint.name);
  if (new Set(names).size !== names.length) problems.push('two pve_endpoints have the same name');
  return problems;
}
