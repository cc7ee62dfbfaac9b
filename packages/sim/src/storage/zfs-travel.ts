/** A zfspool volume with all its snapshots on its way to another node (pve-storage src/PVE/Storage/ZFSPoolPlugin.pm volume_export, volume_import). */
import { once } from 'node:events';
import type { PassThrough } from 'node:stream';
import { destroySnapshots } from '../pool/destroy.ts';
import { receive } from '../pool/receive.ts';
import { planSend, sendSteps } from '../pool/send.ts';
import { takeSnapshots } from '../pool/snapshot-verbs.ts';
import type { VolumeAt } from './volumes.ts';
import { datasetName } from './zfs-names.ts';

/** Made for the way, and gone at its end. */
const MARK = '__migration__';
const OPTIONS = { replicate: true };

export async function sendVolume({ host, storage, volname }: VolumeAt, stream: PassThrough): Promise<void> {
  const snapshot = `${datasetName(storage, volname)}@${MARK}`;
  await takeSnapshots(host, [snapshot]);
  try {
    const write = async (data: Uint8Array): Promise<void> => {
      if (!stream.write(data)) await once(stream, 'drain');
    };
    await sendSteps(host, planSend(host, snapshot, OPTIONS), { options: OPTIONS, write });
    stream.end();
  } catch (err) {
    stream.destroy(err as Error);
    throw err;
  } finally {
    destroySnapshots(host, snapshot);
  }
}

export async function receiveVolume({ host, storage, volname }: VolumeAt, stream: PassThrough): Promise<void> {
  const target = datasetName(storage, volname);
  const options = { force: false, unmounted: false, dryRun: false, resumable: false, properties: [], excluded: [] };
  await receive(host, target, { stdin: stream, options: { ...options, log: () => undefined } });
  destroySnapshots(host, `${target}@${MARK}`);
}
