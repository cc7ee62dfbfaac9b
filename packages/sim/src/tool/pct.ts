/** `pct`: option parsing, faults and errors around the verbs of ../pct. */
import type { Host } from '../host.ts';
import type { Tool } from '../tool.ts';
import { CONTAINER_VERBS } from './container-verbs.ts';
import { runCommands } from './run-commands.ts';

export const pct: Tool = (host: Host, argv, io) => runCommands({ tool: 'pct', host, argv, io, verbs: CONTAINER_VERBS });
