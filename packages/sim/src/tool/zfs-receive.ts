/** `zfs receive`: its options, and what may be set or left out. */

import type { ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { openText } from '../pool/names.ts';
import { isKnownProperty, isUserProperty } from '../pool/properties.ts';
import { NATIVE } from '../pool/property-table.ts';
import { abandon, receive } from '../pool/receive.ts';
import { type Pairs, refuse } from '../pool/refuse.ts';
import { findDataset, readPools } from '../pool/state.ts';
import { type Getopt, has } from './getopt.ts';
import { isPlainUser, missing, operands, pairsOf } from './zfs-arguments.ts';

export async function receiveStream(host: Host, call: Getopt, io: ToolIo): Promise<void> {
  const properties = pairsOf(call.options.get('o') ?? [], 2).filter(([key]) => key !== 'origin');
  const excluded = call.options.get('x') ?? [];
  requireReceivable(call, { properties, excluded });
  const [target = ''] = operands(call, 'missing snapshot argument');
  if (has(call, 'A')) {
    abandonReceive(host, call, target);
    return;
  }
  const append = has(call, 'd') ? 'd' : has(call, 'e') ? 'e' : undefined;
  requireOverridable([...properties.map(([key]) => key), ...excluded]);
  if (append !== undefined && findDataset(readPools(host), target) === undefined)
    refuse(`cannot receive: specified fs (${target}) does not exist`);
  await receive(host, target, {
    stdin: io.stdin,
    options: {
      force: has(call, 'F'),
      unmounted: has(call, 'u') || isPlainUser(io),
      dryRun: has(call, 'n'),
      resumable: has(call, 's'),
      properties,
      excluded,
      ...(append === undefined ? {} : { append }),
      log: (text) => {
        if (has(call, 'v')) io.out(text);
      },
    },
  });
}

function abandonReceive(host: Host, call: Getopt, target: string): void {
  if (['d', 'e', 'n', 's', 'u'].some((letter) => has(call, letter))) missing('invalid option');
  if (findDataset(readPools(host), target) === undefined) missing(openText(target, 'dataset'));
  abandon(host, target);
}

function requireReceivable(call: Getopt, at: { properties: Pairs; excluded: readonly string[] }): void {
  const named = at.excluded.find((name) => name.includes('='));
  if (named !== undefined) missing("invalid character '=' in property argument");
  const all = [...at.properties.map(([key]) => key), ...at.excluded];
  const twice = all.find((name, i) => all.indexOf(name) !== i);
  if (twice !== undefined) missing(`property '${twice}' specified multiple times`);
  if (has(call, 'd') && has(call, 'e')) missing('invalid option combination: -d and -e are mutually exclusive');
}

/** What a receive may set or leave out (lib/libzfs/libzfs_sendrecv.c zfs_receive_checkprops). */
function requireOverridable(names: readonly string[]): void {
  const odd = names.find((name) => {
    const rule = NATIVE.get(name);
    if (rule === undefined) return !(isUserProperty(name) && isKnownProperty(name));
    if (/^(encryption|key|pbkdf2)/.test(name)) return false;
    return !rule.isEditable || name === 'version' || name === 'volsize';
  });
  if (odd !== undefined) refuse(`cannot receive: cannot receive: invalid property '${odd}'`);
}
