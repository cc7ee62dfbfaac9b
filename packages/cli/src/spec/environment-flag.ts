/** `--env NAME=VALUE`, `--env NAME-` (take the image's variable away), `--env-from FILE` (secrets stay off the
 * command line). Not `--env-file`: Node.js takes that one for itself wherever it stands in argv. */
import { readFileSync } from 'node:fs';
import { hasControlCharacters } from '@pxmgr/contract';
import { EnvironmentVariable } from '@pxmgr/contract/common';
import { fileProblem } from '../file-problem.ts';
import type { Problems } from './problems.ts';

/** Names with dashes or dots cannot be set through the Proxmox API later: pve-container src/PVE/LXC/Config.pm `env`. */
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

function parseLine(text: string, where: string, problems: Problems): EnvironmentVariable | undefined {
  const equals = text.indexOf('=');
  const remove = equals === -1 && text.endsWith('-');
  const name = remove ? text.slice(0, -1) : text.slice(0, Math.max(equals, 0));
  const value = equals === -1 ? '' : text.slice(equals + 1);
  if (equals === -1 && !remove) problems.add(where, 'write NAME=VALUE, or NAME- to remove a variable of the image');
  else if (!NAME.test(name)) problems.add(where, `"${name}" is not a variable name: letters, digits and "_" only`);
  else if (hasControlCharacters(value)) problems.add(where, `the value of ${name} holds control characters`);
  else if (value !== value.trim())
    problems.add(where, `the value of ${name} begins or ends with a blank, which Proxmox drops`);
  else return EnvironmentVariable.fromPartial({ name, value, remove });
  return undefined;
}

function readLines(path: string, problems: Problems): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch (error) {
    problems.add(`--env-from ${path}`, fileProblem(error));
    return [];
  }
}

export function parseEnvironment(
  flags: readonly string[],
  files: readonly string[],
  problems: Problems,
): EnvironmentVariable[] {
  const byName = new Map<string, EnvironmentVariable>();
  const put = (line: string, where: string): void => {
    const variable = parseLine(line, where, problems);
    if (variable !== undefined) byName.set(variable.name, variable);
  };
  for (const file of files) {
    readLines(file, problems).forEach((line, index) => {
      const text = line.replace(/\r$/, '');
      if (text.trim() !== '' && !text.startsWith('#')) put(text, `${file}:${index + 1}`);
    });
  }
  for (const flag of flags) put(flag, `--env ${flag.split('=')[0] ?? ''}`);
  return [...byName.values()];
}
