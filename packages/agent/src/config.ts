/** The agent's options. Loader, flags, environment, example file and reference page come from this table. */
import { parseNodeName } from '@pxmgr/contract';
import type { Values } from '@pxmgr/kit/config/field';
import { durationMs, field, sizeBytes } from '@pxmgr/kit/config/field';
import * as z from 'zod';

export const ENV_PREFIX = 'PXMGR_AGENT_';
export const DEFAULT_CONFIG_FILE = '/etc/pxmgr/agent.yaml';

const HostPort = z.string().regex(/^(?:\[[0-9a-f:.]+\]|[^\s:[\]]+):[0-9]{1,5}$/i, 'must be host:port');
const AbsolutePath = z.string().startsWith('/', 'must be an absolute path');
const NodeNameOption = z
  .string()
  .refine((text) => text === '' || parseNodeName(text).ok, 'must be a node name as Proxmox has it');
const LogLevelOption = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']);

export const AgentConfig = {
  hostRoot: field({
    type: AbsolutePath,
    default: '/',
    description:
      'Folder in which the host files (/etc/pve, /proc, /sys, /dev) are found; anything but / is a stand-in host.',
  }),
  path: field({
    type: z.string().min(1),
    default: '/usr/sbin:/usr/bin:/sbin:/bin',
    description: 'PATH on which pct, zfs, skopeo and the other tools are looked up.',
  }),
  stateDir: field({
    type: AbsolutePath,
    default: '/var/lib/pxmgr-agent',
    description: 'Folder of identity, journals, outbox and image cache; only root may read it.',
  }),
  listen: field({
    type: HostPort,
    default: '0.0.0.0:7450',
    description: 'Address of the service that the controller calls.',
  }),
  advertise: field({
    type: HostPort.optional(),
    description: 'Address under which the controller reaches this agent; found at joining when not set.',
    example: '192.0.2.2:7450',
  }),
  nodeName: field({
    type: NodeNameOption,
    default: '',
    description: 'Name of this node; taken from Proxmox when empty.',
  }),
  pollInterval: field({
    type: durationMs(),
    default: '200ms',
    description: 'How often the counters of the cluster file system and the list of running guests are read.',
  }),
  templateStorage: field({
    type: z.string(),
    default: '',
    description: 'Storage that takes the archives of OCI images; empty = local, or the first one that holds templates.',
  }),
  imageCacheSize: field({
    type: sizeBytes(),
    default: '20GiB',
    description:
      'Image layers kept for later pulls; beyond it the longest unused go. Archives in storages do not count.',
  }),
  insecureRegistries: field({
    type: z.array(z.string().min(1)),
    default: [],
    description: 'Registries (host or host:port) that are spoken to without TLS verification, or over plain HTTP.',
  }),
  registryAuthFile: field({
    type: z.union([z.literal(''), AbsolutePath]),
    default: '',
    description: 'Credentials file for registries, as "skopeo login --authfile" writes it; empty = none.',
  }),
  signaturePolicyFile: field({
    type: z.union([z.literal(''), AbsolutePath]),
    default: '',
    description:
      'Signature policy for pulled images (containers-policy.json); empty = every image that its digest names.',
  }),
  commandLog: field({
    type: z.union([z.literal(''), AbsolutePath]),
    default: '',
    description: 'File that gets one JSON line for every command that was run; empty = none.',
  }),
  metricsListen: field({
    type: z.union([z.literal(''), z.string().regex(/^127\.0\.0\.1:[0-9]{1,5}$/, 'must be 127.0.0.1:port')]),
    default: '',
    description: 'Loopback address for Prometheus metrics; empty = off.',
  }),
  logLevel: field({
    type: LogLevelOption,
    default: 'info',
    description: 'Least severe level that is logged.',
    reload: true,
  }),
} as const;

export type AgentConfigValues = Values<typeof AgentConfig>;
