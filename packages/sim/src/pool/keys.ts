/** Keys of encrypted datasets, with the refusals of openzfs/zfs lib/libzfs/libzfs_crypto.c. */
import type { Host } from '../host/host.ts';
import { encryptionRoot, mountedBelow } from './mounting.ts';
import { refuse } from './refuse.ts';
import { changePools, type DatasetRecord, findDataset, type PoolState } from './state.ts';

const SHORTEST_PASSPHRASE = 8;

/** `isDry` only tries the passphrase, also when the key is loaded. */
export function loadKey(host: Host, name: string, at: { passphrase: string; isDry: boolean }): void {
  changePools(host, (state) => {
    const failed = (reason: string): never => refuse(`Key load error: ${reason}`, 255);
    const key = keyOfRoot(state, name, { verb: 'loaded', failed });
    if (key.isLoaded && !at.isDry) failed(`Key already loaded for '${name}'.`);
    if (key.passphrase !== at.passphrase) failed(`Incorrect key provided for '${name}'.`);
    if (!at.isDry) key.isLoaded = true;
  });
}

export function unloadKey(host: Host, name: string): void {
  changePools(host, (state) => {
    const failed = (reason: string): never => refuse(`Key unload error: ${reason}`, 255);
    const key = keyOfRoot(state, name, { verb: 'unloaded', failed });
    if (!key.isLoaded) failed(`Key already unloaded for '${name}'.`);
    if (mountedBelow(state, name).length > 0) failed(`'${name}' is busy.`);
    key.isLoaded = false;
  });
}

/** The dataset gets a passphrase of its own. */
export function changeKey(host: Host, name: string, at: { passphrase: string; hasFormat: boolean }): void {
  changePools(host, (state) => {
    const failed = (reason: string): never => refuse(`Key change error: ${reason}`, 255);
    const dataset = findDataset(state, name);
    const root = dataset === undefined ? undefined : encryptionRoot(state, dataset);
    if (dataset === undefined || root === undefined) return failed('Dataset not encrypted.');
    if (dataset.origin !== undefined) failed('Keys cannot be changed on clones.');
    if (root !== dataset && !at.hasFormat) failed('Keyformat required for new encryption root.');
    if (at.passphrase.length < SHORTEST_PASSPHRASE) failed(`Passphrase too short (min ${SHORTEST_PASSPHRASE}).`);
    if (root.key?.isLoaded !== true) failed('Key must be loaded.');
    const { encryption = 'on', keyformat = 'passphrase' } = root.properties;
    Object.assign(dataset.properties, { encryption, keyformat, keylocation: 'prompt' });
    dataset.key = { passphrase: at.passphrase, isLoaded: true };
    return undefined;
  });
}

/** Encryption roots from there on, in the order of their names; without a name all of them. */
export function encryptionRoots(state: PoolState, below: readonly string[]): DatasetRecord[] {
  return state.datasets.filter(
    ({ name, key }) =>
      key !== undefined && (below.length === 0 || below.some((top) => name === top || name.startsWith(`${top}/`))),
  );
}

function keyOfRoot(
  state: PoolState,
  name: string,
  at: { verb: string; failed: (reason: string) => never },
): { readonly passphrase: string; isLoaded: boolean } {
  const dataset = findDataset(state, name);
  const root = dataset === undefined ? undefined : encryptionRoot(state, dataset);
  if (root?.key === undefined) return at.failed(`'${name}' is not encrypted.`);
  if (root !== dataset) at.failed(`Keys must be ${at.verb} for encryption root of '${name}' (${root.name}).`);
  return root.key;
}
