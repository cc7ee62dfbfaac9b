/** Contract data that lies beside the checkout (`../shared`); a test that needs it is skipped with a reason where it is absent. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SHARED = fileURLToPath(new URL('../../../shared/', import.meta.url));

export const hasSharedData = existsSync(`${SHARED}pve-schema/vectors`);
if (!hasSharedData) process.stderr.write(`contract data not found in ${SHARED}: these tests are skipped\n`);

export function sharedPath(name: string): string {
  return `${SHARED}${name}`;
}

// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the shape of one known file, named by the reader
export function vectors<T>(name: string): T {
  return JSON.parse(hasSharedData ? readFileSync(`${SHARED}pve-schema/vectors/${name}.json`, 'utf8') : '{}') as T;
}
