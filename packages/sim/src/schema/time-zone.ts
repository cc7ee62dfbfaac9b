/** Zone names as /usr/share/zoneinfo/zone.tab lists them; where that file is absent, what the JavaScript engine knows. */
import { readText } from '../file/sim-file.ts';

export function isKnownZone(name: string): boolean {
  if (name === 'UTC') return true;
  const table = readText('/usr/share/zoneinfo/zone.tab');
  if (table !== undefined) return table.split('\n').some((line) => !/^\s*#/.test(line) && line.split('\t')[2] === name);
  return Intl.supportedValuesOf('timeZone').includes(name);
}
