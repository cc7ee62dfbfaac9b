/** Entry of pxmgr-controller: arguments to command to exit code. */
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { toProblem } from '@pxmgr/kit/error/to-problem';
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
  else if (command.name === 'config') print(configText(command.verb, source));
  else {
    const { createOperator } = await import('./operator.ts');
    const { operator: name, role, folder } = command;
    print(await createOperator(loadControllerConfig(source).values, { name, role, folder }));
  }
  return 0;
}

function explain(error: unknown): number {
  const { code, message, hint, causes } = toProblem(error);
  const lines = [
    `error[${code}]: ${message}`,
    ...causes.map((cause) => `  caused by: ${cause}`),
    ...(hint === '' ? [] : [`  hint: ${hint}`]),
  ];
  process.stderr.write(`${lines.join('\n')}\n`);
  return error instanceof PxmError ? error.row.exit : 1;
}

process.exitCode = await main(process.argv.slice(2)).catch(explain);
