/** Which implementation of guest volumes a storage type has, loaded when first asked for. */
import type { VolumeBackend } from './volumes.ts';

/** undefined when this stand-in cannot hold guest volumes on that type. */
export async function backendOf(type: string): Promise<VolumeBackend | undefined> {
  if (type === 'dir') return (await import('./volume-dir.ts')).dirVolumes;
  if (type === 'zfspool') return (await import('./pool.ts')).zfsVolumes;
  return undefined;
}
