/** `zfs load-key`, `zfs unload-key` and `zfs change-key`. */

import { ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { changeKey, encryptionRoots, loadKey, unloadKey } from '../pool/keys.ts';
import { openText } from '../pool/names.ts';
import { findDataset, readPools } from '../pool/state.ts';
import { type Getopt, has } from './getopt.ts';
import { firstLine, missing, pairs } from './zfs-arguments.ts';

export async function loadKeys(host: Host, call: Getopt, io: ToolIo): Promise<void> {
  const isDry = has(call, 'n');
  const names = named(host, call, io);
  const wanted = isAll(call) ? rootsToChange(host, call, false) : names;
  const passphrase = wanted.length === 0 ? '' : await firstLine(io);
  tellEach(io, wanted, {
    call,
    done: isDry ? 'verified' : 'loaded',
    change: (name) => {
      loadKey(host, name, { passphrase, isDry });
    },
  });
}

export function unloadKeys(host: Host, call: Getopt, io: ToolIo): void {
  const names = named(host, call, io);
  tellEach(io, isAll(call) ? rootsToChange(host, call, true) : names, {
    call,
    done: 'unloaded',
    change: (name) => {
      unloadKey(host, name);
    },
  });
}

export async function changeKeys(host: Host, call: Getopt, io: ToolIo): Promise<void> {
  const given = pairs(call);
  if (has(call, 'i') && given.length > 0) missing('Properties not allowed for inheriting');
  const [name = missing('Missing dataset argument'), ...others] = call.operands;
  if (others.length > 0) missing('Too many arguments');
  if (findDataset(readPools(host), name) === undefined) missing(openText(name, 'dataset'));
  if (has(call, 'i')) throw new ToolError('zfs change-key -i is not part of this stand-in\n', 255);
  const hasFormat = given.some(([key]) => key === 'keyformat');
  changeKey(host, name, { passphrase: await firstLine(io), hasFormat });
}

function isAll(call: Getopt): boolean {
  return has(call, 'a') || has(call, 'r');
}

/** The datasets that are there; what is not there is told. */
function named(host: Host, call: Getopt, io: ToolIo): readonly string[] {
  if (!has(call, 'a') && call.operands.length === 0) missing('Missing dataset argument or -a option');
  if (has(call, 'a') && call.operands.length > 0) missing('Cannot specify dataset with -a option');
  const state = readPools(host);
  const gone = call.operands.filter((name) => findDataset(state, name) === undefined);
  for (const name of gone) io.err(`${openText(name, 'dataset')}\n`);
  if (gone.length > 0) throw new ToolError('', 1);
  return call.operands;
}

/** Of several only those whose key is not yet as it shall be. */
function rootsToChange(host: Host, call: Getopt, isLoaded: boolean): string[] {
  return encryptionRoots(readPools(host), call.operands).flatMap(({ name, key }) =>
    key?.isLoaded === isLoaded ? name : [],
  );
}

function tellEach(
  io: ToolIo,
  names: readonly string[],
  at: { call: Getopt; done: string; change: (name: string) => void },
): void {
  let failed = 0;
  for (const name of names) {
    try {
      at.change(name);
    } catch (err) {
      if (!(err instanceof ToolError)) throw err;
      io.err(err.message);
      failed += 1;
    }
  }
  const isCounted = has(at.call, 'n') || (isAll(at.call) && names.length > 0);
  if (isCounted) io.out(`${names.length - failed} / ${names.length} key(s) successfully ${at.done}\n`);
  if (failed > 0) throw new ToolError('', 255);
}
