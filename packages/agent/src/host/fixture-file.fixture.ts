/** Test support: recorded files below test/fixtures. */
import { readFileSync } from 'node:fs';

export function fixture(path: string): string {
  return readFileSync(new URL(`../../../../test/fixtures/${path}`, import.meta.url), 'utf8');
}
