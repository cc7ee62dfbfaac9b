/** First part of the composition: what lies on disk. Everything here is open before anything listens. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { removeTemporaries, writeFileAtomic } from '@pxmgr/kit/fs/atomic';
import { acquireLockFile, type LockFile } from '@pxmgr/kit/fs/lock-file';
import type { KeyedCertificate } from '@pxmgr/kit/pki/ca';
import { splitAddress } from '@pxmgr/kit/rpc/address';
import { CONFIG_PROGRAM, type Config } from './config.ts';
import { openPki, type Pki } from './fleet/pki.ts';
import { AuditStore } from './store/audit.ts';
import { ChangeStore } from './store/changes.ts';
import { CursorStore } from './store/cursors.ts';
import { NodeStore } from './store/nodes.ts';
import { ObjectStore } from './store/objects.ts';
import { type Database, openDatabase } from './store/open.ts';
import { OperatorStore } from './store/operators.ts';
import { createSeal, SEAL_KEY_BYTES, type Seal } from './store/seal.ts';
import { TokenStore } from './store/tokens.ts';

export interface Stores {
  readonly nodes: NodeStore;
  readonly tokens: TokenStore;
  readonly objects: ObjectStore;
  readonly changes: ChangeStore;
  readonly audit: AuditStore;
  readonly operators: OperatorStore;
  readonly cursors: CursorStore;
}

export interface State {
  readonly database: Database;
  readonly seal: Seal;
  readonly stores: Stores;
  readonly pki: Pki;
  /** Names that others reach us by, the preferred one first. */
  readonly names: readonly string[];
  readonly controllerCertificate: KeyedCertificate;
  readonly busCertificate: KeyedCertificate;
  /** CA of a NATS that is not ours, if one is named. */
  readonly externalBusCa: string | undefined;
  close(): Promise<void>;
}

/** Errors: PXM_ALREADY_RUNNING, PXM_DATABASE_CORRUPT, PXM_STATE_DAMAGED. */
export async function openState(config: Config, clock: Clock): Promise<State> {
  await mkdir(config.state_dir, { recursive: true, mode: 0o700 });
  const lock = await acquireLockFile(join(config.state_dir, 'controller.lock'), CONFIG_PROGRAM);
  try {
    return await openUnderLock(config, clock, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function openUnderLock(config: Config, clock: Clock, lock: LockFile): Promise<State> {
  for (const folder of [config.state_dir, pkiFolder(config), busFolder(config)])
    if (existsSync(folder)) await removeTemporaries(folder);
  const databasePath = config.database === '' ? join(config.state_dir, 'controller.db') : config.database;
  const pki = await openPki(pkiFolder(config), clock, !existsSync(databasePath));
  const names = reachableNames(config);
  const controllerCertificate = await pki.issueController({ names });
  const busCertificate = await pki.issueBus({ names });
  const externalBusCa = config.nats_ca_file === '' ? undefined : await readFile(config.nats_ca_file, 'utf8');
  const seal = createSeal(await sealKey(join(config.state_dir, 'plan.key')));
  const database = openDatabase(databasePath);
  const stores = openStores(database);
  stores.audit.endInterrupted();
  return {
    database,
    seal,
    stores,
    pki,
    names,
    controllerCertificate,
    busCertificate,
    externalBusCa,
    close: async () => {
      database.close();
      await lock.release();
    },
  };
}

/** Made at the first start. Not in the database, so a copy of that alone does not open what plans have sealed. */
async function sealKey(path: string): Promise<Buffer> {
  if (!existsSync(path)) await writeFileAtomic(path, randomBytes(SEAL_KEY_BYTES), { mode: 0o600 });
  const key = await readFile(path);
  if (key.length === SEAL_KEY_BYTES && key.some((byte) => byte !== 0)) return key;
  const reason =
    'it does not hold a key; without the file another is made, and plans that wait with an environment fail';
  throw new PxmError('PXM_STATE_DAMAGED', { path, reason });
}

function openStores(database: Database): Stores {
  return {
    nodes: new NodeStore(database),
    tokens: new TokenStore(database),
    objects: new ObjectStore(database),
    changes: new ChangeStore(database),
    audit: new AuditStore(database),
    operators: new OperatorStore(database),
    cursors: new CursorStore(database),
  };
}

export function pkiFolder(config: Pick<Config, 'state_dir'>): string {
  return join(config.state_dir, 'pki');
}

export function busFolder(config: Pick<Config, 'state_dir'>): string {
  return join(config.state_dir, 'nats');
}

/** As configured; otherwise the address we listen on, or every address of this machine and its name. */
export function reachableNames(config: Pick<Config, 'advertise' | 'listen'>): string[] {
  if (config.advertise.length > 0) return [...config.advertise];
  const { host } = splitAddress(config.listen);
  if (host !== '0.0.0.0' && host !== '::') return [host];
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((address) => !address.internal && !isLinkLocal(address.address));
  const ordered = [
    ...addresses.filter((address) => address.family === 'IPv4'),
    ...addresses.filter((address) => address.family === 'IPv6'),
  ];
  return [...ordered.map((address) => address.address), hostname()];
}

/** Means nothing without the name of an interface. */
function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/i.test(address) || address.startsWith('169.254.');
}
