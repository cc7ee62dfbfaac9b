import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { createUser } from '@nats-io/nkeys';
import { heartbeatSubject, inventorySubject, resyncSubject } from '@pxmgr/contract';
import { connect, jwtAuthenticator, type NatsConnection, PermissionViolationError } from 'nats';
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
  const attempt = async (keys: BusKeys): Promise<NatsConnection> => {
    const user = createUser();
    const signer = { role: keys.agentRole, account: keys.fleet.getPublicKey() };
    const jwt = await agentUserJwt(signer, {
      nodeUid: ALICE,
      publicKey: user.getPublicKey(),
      expiresAt: new Date(Date.now() + 60_000),
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
