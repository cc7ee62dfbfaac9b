/** `TOOL help` (pve-common src/PVE/CLIHandler.pm). The long form is upstream's prose, which is not in the data. */
import { ToolError } from '../call/tool.ts';
import type { VerbHandler } from '../pct/context.ts';
import { helpLines, overview } from '../schema/usage.ts';

export const help: VerbHandler = async ({ tool, call, io }) => {
  const asked = call.params['extra-args'];
  const words = Array.isArray(asked) ? asked.map(String) : [];
  const lines = helpLines(tool, words);
  if (lines === undefined) throw new ToolError(`ERROR: unknown command '${words[0] ?? ''}'\n${overview(tool)}`);
  if (call.params['verbose'] !== 0) throw new ToolError(`the long help of ${tool} is not part of this stand-in\n`, 1);
  io.out(`USAGE: ${lines.trimStart()}\n`);
  return 0;
};
