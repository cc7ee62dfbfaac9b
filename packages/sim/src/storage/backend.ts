/** Which implementation of guest volumes a storage type has, loaded when first asked for. */

import { answerOf } from './answer.ts';
import type { VolumeAt, VolumeBackend } from './volumes.ts';

/** undefined when this stand-in cannot hold guest volumes on that type. */
export async function backendOf(type: string): Promise<VolumeBackend | undefined> {
  if (type === 'dir') return answering((await import('./dir-volumes.ts')).dirVolumes);
  if (type === 'zfspool') return answering((await import('./zfs-volumes.ts')).zfsVolumes);
  return undefined;
}

/** The same backend; everything that touches the storage first waits for its answer. */
function answering(backend: VolumeBackend): VolumeBackend {
  const after =
    <Rest extends readonly unknown[], R>(step: (at: VolumeAt, ...rest: Rest) => Promise<R>) =>
    async (at: VolumeAt, ...rest: Rest): Promise<R> => {
      await answerOf(at.host, at.storage);
      return step(at, ...rest);
    };
  return {
    ...backend,
    alloc: async (host, storage, request) => {
      await answerOf(host, storage);
      return backend.alloc(host, storage, request);
    },
    list: async (host, storage) => {
      await answerOf(host, storage);
      return backend.list(host, storage);
    },
    space: async (host, storage) => {
      await answerOf(host, storage);
      return backend.space(host, storage);
    },
    directory: after((at) => backend.directory(at)),
    exists: after((at) => backend.exists(at)),
    sizeBytes: after((at) => backend.sizeBytes(at)),
    resize: after((at, bytes: number, log?: (text: string) => void) => backend.resize(at, bytes, log)),
    destroy: after((at) => backend.destroy(at)),
    rename: after((at, vmid: number) => backend.rename(at, vmid)),
    makeBase: after((at, log?: (text: string) => void) => backend.makeBase(at, log)),
    linkedClone: after((at, vmid: number) => backend.linkedClone(at, vmid)),
    snapshot: after((at, name: string) => backend.snapshot(at, name)),
    newerSnapshots: after((at, name: string) => backend.newerSnapshots(at, name)),
    rollback: after((at, name: string) => backend.rollback(at, name)),
    deleteSnapshot: after((at, name: string) => backend.deleteSnapshot(at, name)),
  };
}
