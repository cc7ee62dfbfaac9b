/** For tests: a real nats-server with real TLS and JWTs, in a folder of its own. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import { createUser, type KeyPair } from '@nats-io/nkeys';
import { inboxPrefix } from '@pxmgr/contract';
import { systemClock } from '@pxmgr/kit/clock';
import { createRunner } from '@pxmgr/kit/exec/run';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { connect, jwtAuthenticator, type NatsConnection } from 'nats';
import { connectBus } from './connect.ts';
import { agentUserJwt, controllerUserJwt, fleetAccountJwt, operatorJwt, systemAccountJwt } from './jwt.ts';
import { type BusKeys, createBusKeys } from './keys.ts';
import { NatsServer } from './server.ts';

const PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

export interface TestBus {
  readonly server: NatsServer;
  readonly keys: BusKeys;
  readonly folder: string;
  readonly ca: string;
  readonly url: string;
  controller(): Promise<NatsConnection>;
  agent(uid: string, user?: KeyPair): Promise<NatsConnection>;
  close(): Promise<void>;
}

async function selfSigned(folder: string): Promise<{ certificate: string; key: string }> {
  const key = join(folder, 'tls.key');
  const certificate = join(folder, 'tls.crt');
  const args = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=test',
  ];
  const runner = createRunner({ path: PATH, logger: silentLogger() });
  await runner.run({
    file: 'openssl',
    args: [...args, '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost', '-keyout', key, '-out', certificate],
    purpose: 'test certificate',
    timeoutMs: 20_000,
  });
  return { certificate: await readFile(certificate, 'utf8'), key: await readFile(key, 'utf8') };
}

export async function createTestServer(
  folder: string,
  keys: BusKeys,
  port = 0,
): Promise<{ server: NatsServer; ca: string }> {
  const tls = await selfSigned(folder);
  const server = new NatsServer({
    runner: createRunner({ path: PATH, logger: silentLogger() }),
    clock: systemClock,
    logger: silentLogger(),
    program: 'nats-server',
    folder: join(folder, 'nats'),
    listen: { host: '127.0.0.1', port },
    tls: { certificate: tls.certificate, key: tls.key, ca: tls.certificate },
    operatorJwt: await operatorJwt(keys),
    systemAccount: keys.system.getPublicKey(),
    accounts: {
      [keys.system.getPublicKey()]: await systemAccountJwt(keys),
      [keys.fleet.getPublicKey()]: await fleetAccountJwt(keys, {}),
    },
  });
  return { server, ca: tls.certificate };
}

export async function startTestBus(): Promise<TestBus> {
  const folder = await mkdtemp(join(tmpdir(), 'pxmgr-bus-'));
  const keys = createBusKeys();
  const { server, ca } = await createTestServer(folder, keys);
  await server.start();
  const url = `tls://127.0.0.1:${String(server.port)}`;
  const open: NatsConnection[] = [];
  const keep = (connection: NatsConnection): NatsConnection => {
    open.push(connection);
    return connection;
  };
  return {
    server,
    keys,
    folder,
    ca,
    url,
    controller: async () =>
      keep(
        await connectBus(
          { url, ca },
          { name: 'controller', jwt: await controllerUserJwt(keys), keys: keys.controllerUser },
          silentLogger(),
        ),
      ),
    agent: async (uid, user = createUser()) => {
      const jwt = await agentUserJwt(
        { role: keys.agentRole, account: keys.fleet.getPublicKey() },
        { nodeUid: uid, publicKey: user.getPublicKey(), expiresAt: new Date(Date.now() + 3_600_000) },
      );
      return keep(
        await connect({
          servers: url,
          tls: { ca },
          authenticator: jwtAuthenticator(jwt, user.getSeed()),
          inboxPrefix: inboxPrefix(uid),
          reconnect: false,
          timeout: 5000,
        }),
      );
    },
    close: async () => {
      await Promise.all(open.map(async (connection) => await connection.close()));
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Whether the streams have taken a message. */
export async function isTaken(connection: NatsConnection, subject: string, bytes: Uint8Array): Promise<boolean> {
  return await jetstream(connection)
    .publish(subject, bytes, { timeout: 1000 })
    .then(
      () => true,
      () => false,
    );
}

/** Only what never happens reaches it, however slow the machine is. */
const UNTIL_MS = 20_000;

/** Waits until something is true; fails with the words given. */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const end = systemClock.monotonicMs() + UNTIL_MS;
  while (!(await isTrue())) {
    if (systemClock.monotonicMs() > end) throw new Error(`never happened: ${what}`);
    await systemClock.sleep(10);
  }
}
