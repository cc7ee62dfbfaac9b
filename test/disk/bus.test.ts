/** The streams of nats-server when there is no room: it is told, and they take messages again when there is. */
import { manifestSubject } from '@pxmgr/contract';
import { FakeClock } from '@pxmgr/kit/clock';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTestServer, isTaken, until } from '../../packages/controller/src/bus/bus.fixture.ts';
import { connectBus } from '../../packages/controller/src/bus/connect.ts';
import { controllerUserJwt } from '../../packages/controller/src/bus/jwt.ts';
import { createBusKeys } from '../../packages/controller/src/bus/keys.ts';
import type { NatsServer } from '../../packages/controller/src/bus/server.ts';
import { StoreHealth } from '../../packages/controller/src/bus/store-health.ts';
import { ensureStreams } from '../../packages/controller/src/bus/streams.ts';
import { SmallDisk } from './small-disk.ts';

const disk = await SmallDisk.mount(32 * 1024);
const folder = disk?.path ?? '';
const FULL = { code: 'PXM_DISK_FULL', fields: { path: folder } };

let server: NatsServer;
let connection: Awaited<ReturnType<typeof connectBus>>;
let health: StoreHealth;
let restarts = 0;

beforeEach(async () => {
  if (disk === undefined) return;
  const keys = createBusKeys();
  const made = await createTestServer(folder, keys);
  ({ server } = made);
  await server.start();
  connection = await connectBus(
    { url: `tls://127.0.0.1:${String(server.port)}`, ca: made.ca },
    { name: 'controller', jwt: await controllerUserJwt(keys), keys: keys.controllerUser },
    silentLogger(),
  );
  await ensureStreams(connection);
  restarts = 0;
  const restart = (): void => {
    restarts += 1;
    server.restart();
  };
  health = new StoreHealth({ clock: new FakeClock(), logger: silentLogger(), folder, restart });
}, 60_000);
afterEach(async () => {
  if (disk === undefined) return;
  disk.free();
  await connection.close();
  await server.stop();
});
afterAll(async () => {
  await disk?.unmount();
});

/** Whether the streams have taken a message of the node. */
async function takesOf(nodeUid: string): Promise<boolean> {
  return await isTaken(connection, manifestSubject(nodeUid), Buffer.alloc(6000));
}

describe.skipIf(disk === undefined)('a full disk under the bus', () => {
  it('is told while the server still answers, and needs no new one', async () => {
    expect(await health.look(connection)).toBeUndefined();
    disk?.fill();
    expect(await takesOf('n-new')).toBe(false);
    expect(await health.look(connection)).toMatchObject(FULL);
    disk?.free();
    await until('messages are taken', async () => await takesOf('n-new'));
    expect(await health.look(connection)).toBeUndefined();
    expect(restarts).toBe(0);
  }, 60_000);

  it('makes streams fall silent for good: the server is started again, once, when there is room', async () => {
    await until('messages are taken', async () => await takesOf('n-known'));
    disk?.fill();
    expect(await health.look(connection), 'before it is silent').toMatchObject(FULL);
    await until('the streams are silent', async () => {
      await takesOf('n-known');
      return await ensureStreams(connection).then(
        () => false,
        () => true,
      );
    });
    disk?.free();
    expect(await health.look(connection)).toBeUndefined();
    expect(restarts, 'it was silent while the disk was full, whether somebody looked or not').toBe(1);
    await until('messages are taken', async () => await takesOf('n-known'));
    expect(await health.look(connection)).toBeUndefined();
    expect(restarts).toBe(1);
  }, 120_000);
});
