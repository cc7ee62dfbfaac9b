/** The file behind `--ssh-public-keys`: read before the method runs, looked at within it (pve-common src/PVE/Tools.pm validate_ssh_public_keys). */

import { statSync } from 'node:fs';
import { ToolError } from '../call/tool.ts';
import { readText } from '../file/sim-file.ts';
import { text, type Verb } from './context.ts';

const SSH_KEY =
  /^(?:[\w@",=\-./*]+ )?(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp(?:256|384|521)|sk-\S+) [A-Za-z0-9+/=]+(?: .*)?$/;

/** undefined: none are given. */
export function readSshKeys(verb: Verb): string | undefined {
  const file = text(verb, 'ssh-public-keys');
  if (file === undefined) return undefined;
  const keys = readKeys(verb.host.path(file), file) ?? readKeys(file, file);
  if (keys === undefined) throw new ToolError(`can't open '${file}' - No such file or directory\n`, 2);
  return keys;
}

/** Every line that is no comment must be a key. */
export function checkSshKeys(keys: string): void {
  const lines = keys.split('\n').filter((line) => !/^\s*(?:#|$)/.test(line));
  if (!lines.every((line) => SSH_KEY.test(line))) throw new ToolError('SSH public key validation error\n');
}

/** A folder can be opened, but not read (pve-common src/PVE/File.pm safe_read_from). */
function readKeys(path: string, file: string): string | undefined {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true)
    throw new ToolError(`unable to read file '${file}' - Is a directory\n`, 21);
  return readText(path);
}
