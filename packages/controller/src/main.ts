/** Entry of pxmgr-controller: arguments to command to exit code. */
import { exitCodeOf, explainError } from '@pxmgr/kit/error/explain';
import { forStderr } from '@pxmgr/kit/log/journal';
import { configText, helpText, parseCommandLine, sourceOf, versionText } from './command-line.ts';
import { loadControllerConfig } from './config.ts';

async function main(argv: readonly string[]): Promise<number> {
  const line = parseCommandLine(argv);
  const { command } = line;
  const source = sourceOf(line, process.env);
  if (command.name === 'run') {
    const { values } = loadControllerConfig(source);
    const { serve } = await import('./serve.ts');
    return await serve(values, () => loadControllerConfig(source).values, process.env);
  }
  const print = (output: string): void => void process.stdout.write(output);
  if (command.name === 'help') print(helpText());
  else if (command.name === 'version') print(versionText());
  else print(configText(command.verb, source));
  return 0;
}

function explain(error: unknown): number {
  process.stderr.write(forStderr(explainError(error), process.env));
  return exitCodeOf(error);
}

// What was given up at the end of the time for stopping must not keep the process.
// Not awaited at the top: the program is shipped as CommonJS, which V8 can keep compiled.
void main(process.argv.slice(2))
  .catch(explain)
  .then((exitCode) => process.exit(exitCode));
