/** Entry of pxmgr-agent: arguments to command to exit code. */
import { text } from 'node:stream/consumers';
import { systemClock } from '@pxmgr/kit/clock';
import { exitCodeOf, explainError } from '@pxmgr/kit/error/explain';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { forStderr } from '@pxmgr/kit/log/journal';
import type { CommandLine } from './command-line.ts';
import { configText, helpText, loadAgentConfig, parseCommandLine, versionText } from './command-line.ts';

/** On a real host everything that matters belongs to root; a stand-in host may belong to anybody. */
function requireRoot(hostRoot: string): void {
  if (hostRoot === '/' && process.getuid?.() !== 0)
    throw new PxmError('PXM_NOT_ROOT', { program: 'pxmgr-agent', reason: 'pct and /etc/pve are for root only' });
}

async function join(line: CommandLine, given: string, force: boolean): Promise<string> {
  const { values } = loadAgentConfig(line, process.env);
  requireRoot(values.hostRoot);
  const [{ joinFleet }, { Cluster }, { HostPaths }] = await Promise.all([
    import('./join/join.ts'),
    import('./host/cluster.ts'),
    import('./host/paths.ts'),
  ]);
  const token = given === '-' ? await text(process.stdin) : given;
  const nodeName = new Cluster(new HostPaths(values.hostRoot), values.nodeName).nodeName();
  const { stateDir, listen, advertise } = values;
  const identity = await joinFleet({ token, stateDir, nodeName, listen, advertise, force, clock: systemClock });
  return `joined the fleet as ${identity.nodeName} (${identity.nodeUid}), reachable at ${identity.agentAddress}\n`;
}

async function serve(line: CommandLine): Promise<number> {
  const { values } = loadAgentConfig(line, process.env);
  requireRoot(values.hostRoot);
  const { runAgent } = await import('./wire.ts');
  return await runAgent(values, () => loadAgentConfig(line, process.env).values);
}

async function main(argv: readonly string[]): Promise<number> {
  const line = parseCommandLine(argv);
  const { command } = line;
  if (command.name === 'run') return await serve(line);
  const print = (output: string): void => void process.stdout.write(output);
  if (command.name === 'help') print(helpText());
  else if (command.name === 'version') print(versionText());
  else if (command.name === 'config') print(configText(command.verb, line, process.env));
  else print(await join(line, command.token, command.force));
  return 0;
}

function explain(error: unknown): number {
  process.stderr.write(forStderr(explainError(error), process.env));
  return exitCodeOf(error);
}

// What was given up at the end of the time for stopping must not keep the process.
// Not awaited at the top: the program is shipped as CommonJS.
void main(process.argv.slice(2))
  .catch(explain)
  .then((exitCode) => process.exit(exitCode));
