/** Options that every command has. */
import type { OptionDefinition } from './command.ts';
import { FORMATS } from './format.ts';

export const GLOBAL_OPTIONS = {
  output: {
    kind: 'text',
    flag: 'output',
    short: 'o',
    value: 'FORMAT',
    help: 'table, wide, json, yaml, ndjson or name (default: table)',
    choices: FORMATS,
  },
  controller: { kind: 'text', flag: 'controller', value: 'ADDRESS', help: 'host:port, or unix:/path' },
  ca: { kind: 'text', flag: 'ca', value: 'FILE', help: 'CA certificate of the fleet', complete: 'file' },
  cert: { kind: 'text', flag: 'cert', value: 'FILE', help: 'operator certificate', complete: 'file' },
  key: { kind: 'text', flag: 'key', value: 'FILE', help: 'key of the operator certificate', complete: 'file' },
  config: { kind: 'text', flag: 'config', value: 'FILE', help: 'settings file', complete: 'file' },
  plain: { kind: 'flag', flag: 'plain', help: 'ASCII only, no colour, no live lines' },
  quiet: { kind: 'flag', flag: 'quiet', short: 'q', help: 'no progress and no notes' },
} as const satisfies Record<string, OptionDefinition>;
