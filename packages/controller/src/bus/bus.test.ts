import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createUser } from '@nats-io/nkeys';
import { heartbeatSubject } from '@pxmgr/contract';
import { systemClock } from '@pxmgr/kit/clock';
import { createRunner } from '@pxmgr/kit/exec/run';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { redact } from '@pxmgr/kit/log/redact';
import { connect, jwtAuthenticator } from 'nats';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestBus, type TestBus } from './bus.fixture.ts';
import { Bus, type BusOptions } from './bus.ts';
import { renderBusKeys } from './keys.ts';

let other: TestBus;
beforeEach(async () => {
  other = await startTestBus();
});
afterEach(async () => {
  await other.close();
});

function options(part: Partial<BusOptions>): BusOptions {
  const runner = createRunner({ path: '/usr/sbin:/usr/bin:/sbin:/bin', logger: silentLogger() });
  const folder = join(other.folder, 'bus');
  return { runner, clock: systemClock, logger: silentLogger(), folder, revocations: () => ({}), ...part };
}

describe("a bus that is somebody else's", () => {
  it('is used with the keys that were given, and lets agents in and out', async () => {
    const revoked: Record<string, number> = {};
    const external = { url: other.url, ca: other.ca, keys: renderBusKeys(other.keys) };
    const bus = new Bus(options({ external, revocations: () => revoked }));
    await bus.start();
    expect(bus.status()).toEqual({ url: other.url, isConnected: true, isSupervised: false, restarts: 0 });
    expect(await bus.ping()).toBeGreaterThanOrEqual(0);
    const user = createUser();
    const uid = 'n-aaaaaaaaaaaaaaaa';
    const jwt = await bus.issueJwt(uid, user.getPublicKey(), new Date(Date.now() + 60_000));
    const authenticator = jwtAuthenticator(jwt, user.getSeed());
    const agent = await connect({ servers: bus.url, tls: { ca: other.ca }, authenticator, reconnect: false });
    agent.publish(heartbeatSubject(uid), 'x');
    await agent.flush();
    revoked[user.getPublicKey()] = Math.floor(Date.now() / 1000) + 1;
    await bus.applyRevocations();
    await agent.closed();
    await bus.stop();
  });

  it('that is not there is told by its address', async () => {
    const external = { url: 'tls://127.0.0.1:1', ca: other.ca, keys: renderBusKeys(other.keys) };
    await expect(new Bus(options({ external })).start()).rejects.toMatchObject({
      code: 'PXM_NATS_DOWN',
      fields: { url: 'tls://127.0.0.1:1' },
    });
  });
});

describe('our own bus', () => {
  it('keeps its keys in one private file that never reaches a log', async () => {
    const [certificate, key] = await Promise.all(
      ['tls.crt', 'tls.key'].map(async (name) => await readFile(join(other.folder, name), 'utf8')),
    );
    const supervised = {
      program: 'nats-server',
      listen: { host: '127.0.0.1', port: 0 },
      tls: { certificate: certificate ?? '', key: key ?? '', ca: certificate ?? '' },
      advertise: '127.0.0.1',
    };
    const first = new Bus(options({ supervised }));
    await first.start();
    const path = join(other.folder, 'bus/keys.json');
    const text = await readFile(path, 'utf8');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const seeds = JSON.parse(text) as Record<string, string>;
    for (const seed of Object.values(seeds)) expect(redact(`seed ${seed}`)).toBe('seed ***');
    expect(await readFile(join(other.folder, 'bus/server.conf'), 'utf8')).not.toMatch(/\bS[OAU][A-Z2-7]{50,}/);
    await first.stop();
    const second = new Bus(options({ supervised }));
    await second.start();
    expect(await readFile(path, 'utf8')).toBe(text);
    await second.stop();
  });
});
