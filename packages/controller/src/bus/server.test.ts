import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@pxmgr/kit/clock';
import { createRunner } from '@pxmgr/kit/exec/run';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTestServer, startTestBus, until } from './bus.fixture.ts';
import { createBusKeys } from './keys.ts';
import { NatsServer } from './server.ts';
import { ensureStreams } from './streams.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pxmgr-nats-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('the supervised nats-server', () => {
  it('keeps its folder private', async () => {
    const { server } = await createTestServer(folder, createBusKeys());
    await server.start();
    for (const name of ['nats', 'nats/server.conf', 'nats/server.key', 'nats/jwt']) {
      expect((await stat(join(folder, name))).mode & 0o077, name).toBe(0);
    }
    await server.stop();
  });

  it('is started again on the same port when it dies, and clients come back', async () => {
    const bus = await startTestBus();
    const controller = await bus.controller();
    const created = (await ensureStreams(controller)).created;
    const { pid, port } = { pid: bus.server.pid ?? 0, port: bus.server.port };
    process.kill(pid, 'SIGKILL');
    await until(
      'a new server runs',
      () => bus.server.restarts >= 1 && bus.server.pid !== pid && isAlive(bus.server.pid ?? 0),
    );
    await until(
      'the connection answers again',
      async () =>
        await controller.rtt().then(
          () => true,
          () => false,
        ),
    );
    expect(bus.server.port).toBe(port);
    expect((await ensureStreams(controller)).created).toBe(created);
    await bus.close();
  });

  it('ends the server that a killed controller left behind', async () => {
    const keys = createBusKeys();
    const first = (await createTestServer(folder, keys)).server;
    await first.start();
    const left = first.pid ?? 0;
    const second = (await createTestServer(folder, keys, first.port)).server;
    await second.start();
    expect(isAlive(left)).toBe(false);
    await second.stop();
    await first.stop();
  });

  it('says why it cannot start', async () => {
    const busy = await startTestBus();
    const { server } = await createTestServer(folder, createBusKeys(), busy.server.port);
    await expect(server.start()).rejects.toMatchObject({
      code: 'PXM_NATS_START_FAILED',
      message: expect.stringMatching(/address already in use/) as string,
    });
    await busy.close();
  });

  it('names a program that is not installed', async () => {
    const server = new NatsServer({
      runner: createRunner({ path: '/usr/bin', logger: silentLogger() }),
      clock: systemClock,
      logger: silentLogger(),
      program: 'nats-server-that-is-not-here',
      folder: join(folder, 'nats'),
      listen: { host: '127.0.0.1', port: 0 },
      tls: { certificate: 'x', key: 'x', ca: 'x' },
      operatorJwt: 'x',
      systemAccount: 'x',
      accounts: {},
    });
    await expect(server.start()).rejects.toMatchObject({ code: 'PXM_COMMAND_NOT_FOUND' });
    expect(await readFile(join(folder, 'nats/server.conf'), 'utf8')).toContain('jetstream');
  });
});
