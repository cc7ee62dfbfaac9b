import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { createUser } from '@nats-io/nkeys';
import { heartbeatSubject, inboxPrefix, inventorySubject, resyncSubject } from '@pxmgr/contract';
import { connect, headers, jwtAuthenticator, type NatsConnection, PermissionViolationError } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestBus, type TestBus, until } from './bus.fixture.ts';
import { agentUserJwt } from './jwt.ts';
import { type BusKeys, createBusKeys } from './keys.ts';
import { Revoker } from './revoke.ts';
import { ensureStreams } from './streams.ts';

const ALICE = 'n-aaaaaaaaaaaaaaaa';
const BOB = 'n-bbbbbbbbbbbbbbbb';

let bus: TestBus;
let controller: NatsConnection;
beforeAll(async () => {
  bus = await startTestBus();
  controller = await bus.controller();
  await ensureStreams(controller);
});
afterAll(async () => {
  await bus.close();
});

/** Permission refusals arrive as asynchronous errors of the connection. */
function refusalsOf(connection: NatsConnection): PermissionViolationError[] {
  const found: PermissionViolationError[] = [];
  void (async () => {
    for await (const status of connection.status()) {
      if (status.type === 'error' && status.error instanceof PermissionViolationError) found.push(status.error);
    }
  })();
  return found;
}

describe('what an agent may do on the bus', () => {
  it('publishes its own inventory and is acknowledged without any JetStream right', async () => {
    const agent = await bus.agent(ALICE);
    const ack = await jetstream(agent).publish(inventorySubject(ALICE, 'storage', 'local'), 'x');
    expect(ack.stream).toBe('PXINV');
    await expect(jetstreamManager(agent, { checkAPI: true })).rejects.toThrow();
  });

  it('cannot publish as another node', async () => {
    const heard: string[] = [];
    const subscription = controller.subscribe('px.>', {
      callback: (_error, message) => {
        heard.push(message.subject);
      },
    });
    await controller.flush();
    const agent = await bus.agent(ALICE);
    const refusals = refusalsOf(agent);
    agent.publish(inventorySubject(BOB, 'storage', 'local'), 'spoofed');
    agent.publish(heartbeatSubject(BOB), 'spoofed');
    agent.publish(heartbeatSubject(ALICE), 'own');
    await until('the own heartbeat arrives', () => heard.includes(heartbeatSubject(ALICE)));
    await until('both refusals are told', () => refusals.length >= 2);
    expect(refusals.map((refusal) => refusal.subject).sort()).toEqual(
      [heartbeatSubject(BOB), inventorySubject(BOB, 'storage', 'local')].sort(),
    );
    expect(heard.filter((subject) => subject.includes(BOB))).toEqual([]);
    subscription.unsubscribe();
  });

  it.each([
    ['the stream of everybody', '$JS.API.STREAM.INFO.PXINV'],
    ['the last word of another node', '$JS.API.DIRECT.GET.PXINV'],
    ['a stored message', '$JS.API.STREAM.MSG.GET.PXINV'],
    ['a consumer of its own', '$JS.API.CONSUMER.CREATE.PXINV'],
    ['an emptied stream', '$JS.API.STREAM.PURGE.PXINV'],
    ['a deleted stream', '$JS.API.STREAM.DELETE.PXINV'],
    ['the ack of another', '$JS.ACK.PXINV.controller.1.1.1.0.0'],
    ['an order to itself', `px.cmd.${ALICE}.resync`],
    ['an order to another node', `px.cmd.${BOB}.resync`],
    ['an answer to the controller', '_INBOX.controller.x'],
    ['an account', '$SYS.REQ.CLAIMS.UPDATE'],
    ['a subject of nobody', 'px.other'],
    ['a longer name than its own', `px.hb.${ALICE}x`],
    ['a subject below its own heartbeat', `px.hb.${ALICE}.x`],
  ])('cannot ask for %s', async (_what, subject) => {
    const agent = await bus.agent(ALICE);
    const refusals = refusalsOf(agent);
    agent.publish(subject, '{}', { reply: `${inboxPrefix(ALICE)}.x` });
    await until('the refusal is told', () => refusals.length > 0);
    expect(refusals.map((refusal) => refusal.subject)).toEqual([subject]);
  });

  it('cannot roll up what others said, in a message of its own', async () => {
    await jetstream(await bus.agent(BOB)).publish(inventorySubject(BOB, 'storage', 'kept'), 'x');
    const all = headers();
    all.set('Nats-Rollup', 'all');
    const own = inventorySubject(ALICE, 'storage', 'local');
    await expect(jetstream(await bus.agent(ALICE)).publish(own, 'x', { headers: all })).rejects.toThrow(/rollup/i);
    const manager = await jetstreamManager(controller);
    const kept = await manager.streams.getMessage('PXINV', { last_by_subj: inventorySubject(BOB, 'storage', 'kept') });
    expect(kept?.string()).toBe('x');
  });

  it('cannot read another node, its commands, or the answers of others', async () => {
    const agent = await bus.agent(ALICE);
    const refusals = refusalsOf(agent);
    const heard: string[] = [];
    for (const subject of [resyncSubject(BOB), 'px.cmd.>', 'px.inv.>', `_INBOX.${BOB}.>`, '_INBOX.>', '$SYS.>']) {
      agent.subscribe(subject, {
        callback: (error, message) => {
          if (error === null) heard.push(message.subject);
        },
      });
    }
    await until('every subscription is refused', () => refusals.length >= 6);
    controller.publish(resyncSubject(BOB), 'secret');
    controller.publish(inventorySubject(BOB, 'storage', 'local'), 'secret');
    await controller.flush();
    await agent.flush();
    expect(heard).toEqual([]);
  });

  it('hears its own commands and answers them', async () => {
    const agent = await bus.agent(ALICE);
    agent.subscribe(resyncSubject(ALICE), {
      callback: (_error, message) => {
        message.respond('done');
      },
    });
    await agent.flush();
    const answer = await controller.request(resyncSubject(ALICE), '', { timeout: 5000 });
    expect(answer.string()).toBe('done');
  });

  it('is cut off at once by a revocation, and does not get in again', async () => {
    const user = createUser();
    const agent = await bus.agent(BOB, user);
    const other = await bus.agent(ALICE);
    const revoker = new Revoker(bus.keys, { url: bus.url, ca: bus.ca });
    await revoker.revoke({ [user.getPublicKey()]: Math.floor(Date.now() / 1000) + 1 });
    await agent.closed();
    await expect(bus.agent(BOB, user)).rejects.toThrow(/authorization/i);
    await other.flush();
    expect(other.isClosed()).toBe(false);
  });
});

describe('who gets in', () => {
  const attempt = async (keys: BusKeys, lifeMs = 60_000, user = createUser()): Promise<NatsConnection> => {
    const signer = { role: keys.agentRole, account: keys.fleet.getPublicKey() };
    const jwt = await agentUserJwt(signer, {
      nodeUid: ALICE,
      publicKey: user.getPublicKey(),
      expiresAt: new Date(Date.now() + lifeMs),
    });
    return await connect({
      servers: bus.url,
      tls: { ca: bus.ca },
      authenticator: jwtAuthenticator(jwt, user.getSeed()),
      reconnect: false,
    });
  };

  it('refuses a user that another fleet signed', async () => {
    await expect(attempt(createBusKeys())).rejects.toThrow(/authorization/i);
  });

  it('ends a connection when its credentials end, and takes them no more', async () => {
    const user = createUser();
    const connection = await attempt(bus.keys, 2000, user);
    await connection.closed();
    await expect(attempt(bus.keys, -1000, user)).rejects.toThrow(/authorization|authentication|expired/i);
    const renewed = await attempt(bus.keys, 60_000, user);
    await renewed.flush();
    await renewed.close();
  });

  it('refuses a user without credentials', async () => {
    await expect(connect({ servers: bus.url, tls: { ca: bus.ca }, reconnect: false })).rejects.toThrow(
      /authorization/i,
    );
  });

  it('lets nobody in without TLS, and we trust only our CA', async () => {
    await expect(connect({ servers: bus.url, tls: {}, reconnect: false })).rejects.toThrow(
      /self-signed|unable to verify/i,
    );
  });
});
