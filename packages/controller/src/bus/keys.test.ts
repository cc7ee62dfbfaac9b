import { fromSeed, type KeyPair } from '@nats-io/nkeys';
import { expect, it } from 'vitest';
import { createBusKeys, parseBusKeys, renderBusKeys } from './keys.ts';

it('key pairs that were read sign as the library does, and have its public keys', () => {
  const json = renderBusKeys(createBusKeys());
  const seeds = JSON.parse(json) as Record<string, string>;
  const message = new TextEncoder().encode('a nonce of the server');
  for (const [name, pair] of Object.entries(parseBusKeys(json)) as [string, KeyPair][]) {
    const library = fromSeed(new TextEncoder().encode(seeds[name]));
    expect(pair.getPublicKey(), name).toBe(library.getPublicKey());
    expect(Buffer.from(pair.sign(message)), name).toEqual(Buffer.from(library.sign(message)));
  }
});
