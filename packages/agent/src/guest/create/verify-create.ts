import type { GuestConfig } from '../config-file.ts';
import { parsePropertyString } from '../property-string.ts';
import type { CreateRequest } from './check-spec.ts';
import type { Preflight } from './preflight.ts';

export interface Ordered {
  readonly request: CreateRequest;
  readonly ready: Preflight;
}

/**
 * What differs between the guest that was ordered and the one that pct has made; undefined when nothing does. A task
 * that ended OK proves none of this: the ostype may have been replaced, options of an image dropped.
 */
export function compareMade(found: GuestConfig | undefined, ordered: Ordered): string | undefined {
  if (found === undefined) return 'its configuration is gone';
  return compareOsType(found, ordered) ?? compareMacs(found, ordered) ?? compareVolumes(found, ordered);
}

function compareOsType(found: GuestConfig, { request, ready }: Ordered): string | undefined {
  const expected = request.spec.osType === '' ? ready.facts.expectedOsType : request.spec.osType;
  const osType = found.entries.get('ostype') ?? '';
  return expected === undefined || osType === expected ? undefined : `ostype is ${osType}, not ${expected}`;
}

function compareMacs(found: GuestConfig, { request }: Ordered): string | undefined {
  for (const [index, { mac }] of request.spec.networks.entries()) {
    const stored = parsePropertyString(found.entries.get(`net${index}`) ?? '').get('hwaddr') ?? '';
    if (mac !== '' && stored.toUpperCase() !== mac.toUpperCase()) return `net${index} has MAC ${stored}`;
  }
  return undefined;
}

function compareVolumes(found: GuestConfig, { ready }: Ordered): string | undefined {
  const missing = ready.plan.volumes.find((volume) => !found.entries.has(`mp${volume.index}`));
  return missing === undefined ? undefined : `volume ${missing.target} is missing`;
}
