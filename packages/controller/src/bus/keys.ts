import { readFileSync } from 'node:fs';
import { createAccount, createOperator, createUser, fromSeed, type KeyPair } from '@nats-io/nkeys';
import { registerSecret } from '@pxmgr/kit/log/redact';
import { nkeySigner } from '@pxmgr/kit/pki/nkey';

/** Key pairs of our NATS operator. Whoever has them owns the bus; they live in one file of mode 0600. */
export interface BusKeys {
  readonly operator: KeyPair;
  /** Account of the server's own subjects ($SYS). */
  readonly system: KeyPair;
  /** Account of the fleet. */
  readonly fleet: KeyPair;
  /** Signing key of the fleet account whose users get the permissions of an agent and no others. */
  readonly agentRole: KeyPair;
  readonly controllerUser: KeyPair;
  readonly systemUser: KeyPair;
}

type Seeds = Record<keyof BusKeys, string>;

export function createBusKeys(): BusKeys {
  return {
    operator: createOperator(),
    system: createAccount(),
    fleet: createAccount(),
    agentRole: createAccount(),
    controllerUser: createUser(),
    systemUser: createUser(),
  };
}

/** JSON of the seeds, for the file. */
export function renderBusKeys(keys: BusKeys): string {
  const seeds = Object.fromEntries(Object.entries(keys).map(([name, pair]) => [name, seedOf(pair as KeyPair)]));
  return `${JSON.stringify(seeds, null, 2)}\n`;
}

/** Throws plain errors: a damaged key file is not something a user can mend by a hint. */
export function readBusKeys(path: string): BusKeys {
  return parseBusKeys(readFileSync(path, 'utf8'));
}

export function parseBusKeys(json: string): BusKeys {
  const seeds = JSON.parse(json) as Seeds;
  const pair = (name: keyof BusKeys): KeyPair => {
    registerSecret(seeds[name]);
    return quick(fromSeed(new TextEncoder().encode(seeds[name])), seeds[name]);
  };
  return {
    operator: pair('operator'),
    system: pair('system'),
    fleet: pair('fleet'),
    agentRole: pair('agentRole'),
    controllerUser: pair('controllerUser'),
    systemUser: pair('systemUser'),
  };
}

/** The library computes both at each call, in JavaScript, and its encoder asks for the public key again and again. */
function quick(pair: KeyPair, seed: string): KeyPair {
  const publicKey = pair.getPublicKey();
  pair.getPublicKey = () => publicKey;
  pair.sign = nkeySigner(seed);
  return pair;
}

function seedOf(pair: KeyPair): string {
  const seed = new TextDecoder().decode(pair.getSeed());
  registerSecret(seed);
  return seed;
}
