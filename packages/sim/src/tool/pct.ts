/** `pct`: option parsing, faults and errors around the verbs of ../pct. */

import type { Tool } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { CONTAINER_VERBS } from '../pct/verbs.ts';
import { runCommands } from './run-commands.ts';

export const pct: Tool = (host: Host, argv, io) => runCommands({ tool: 'pct', host, argv, io, verbs: CONTAINER_VERBS });
