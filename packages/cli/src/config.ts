/** Options of the command line tool: file (~/.config/pxmgr/cli.yaml) < environment (PXMGR_...) < flags. */
import { field, type Values } from '@pxmgr/kit/config/field';
import * as z from 'zod';
import { FORMATS } from './format.ts';

const PORT_MAX = 65_535;

function isAddress(text: string): boolean {
  if (text.startsWith('unix:')) return /^unix:\/./.test(text);
  const port = Number(/^(?:\[[0-9A-Fa-f:.]+\]|[^:\s/[\]]+):(\d{1,5})$/.exec(text)?.[1]);
  return port >= 1 && port <= PORT_MAX;
}

export const CLI_CONFIG = {
  controller: field({
    type: z.string().refine(isAddress, 'must be host:port, or unix: and an absolute path'),
    default: 'unix:/run/pxmgr/controller.sock',
    description: 'Controller to talk to: host:port, or unix:/path for root on the controller host.',
  }),
  ca_file: field({
    type: z.string(),
    default: '',
    flag: '--ca',
    description: 'CA certificate of the fleet (PEM); needed for host:port.',
  }),
  cert_file: field({
    type: z.string(),
    default: '',
    flag: '--cert',
    description: 'Operator certificate (PEM) from "pxmgr operator create".',
  }),
  key_file: field({
    type: z.string(),
    default: '',
    flag: '--key',
    description: 'Private key of the operator certificate (PEM).',
  }),
  output: field({
    type: z.enum(FORMATS),
    default: 'table',
    description: 'Output format where none is given with -o.',
  }),
} as const;

export type CliConfig = Values<typeof CLI_CONFIG>;

export const ENV_PREFIX = 'PXMGR_';

/** ~/.config/pxmgr/cli.yaml, or below $XDG_CONFIG_HOME. */
export function defaultConfigFile(env: Readonly<Record<string, string | undefined>>): string {
  const base = env['XDG_CONFIG_HOME'] ?? `${env['HOME'] ?? '/root'}/.config`;
  return `${base}/pxmgr/cli.yaml`;
}
