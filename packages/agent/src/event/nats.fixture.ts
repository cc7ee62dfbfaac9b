/** Test support: a real nats-server with the inventory stream on a free port. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { jetstreamManager } from '@nats-io/jetstream';
import { INVENTORY_FILTER, INVENTORY_STREAM, MANIFEST_FILTER } from '@pxmgr/contract';
import { InventoryMessage } from '@pxmgr/contract/event';
import { systemClock } from '@pxmgr/kit/clock';
import type { RunningCommand } from '@pxmgr/kit/exec/command';
import { createRunner } from '@pxmgr/kit/exec/run';
import { silentLogger } from '@pxmgr/kit/log/logger';
import type { NatsConnection } from 'nats';
import { connect } from 'nats';

const PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

export class TestNats {
  readonly #folder: string;
  #process: RunningCommand | undefined;
  #port = -1;
  #connections: NatsConnection[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async start(): Promise<TestNats> {
    const nats = new TestNats(await mkdtemp(join(tmpdir(), 'pxmgr-nats-')));
    await nats.launch();
    return nats;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#port}`;
  }

  /** Starts the server; the port stays the same after the first time. */
  async launch(): Promise<void> {
    const runner = createRunner({ path: PATH, logger: silentLogger() });
    const args = ['-a', '127.0.0.1', '-p', String(this.#port), '-js', '-sd', this.#folder];
    this.#process = runner.start({
      file: 'nats-server',
      args,
      purpose: 'message bus of a test',
      timeoutMs: Number.POSITIVE_INFINITY,
    });
    const lines = createInterface({ input: this.#process.stderr });
    for await (const line of lines) {
      const port = /client connections on 127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      if (port !== undefined) this.#port = Number(port);
      if (line.includes('Server is ready')) break;
    }
  }

  async halt(): Promise<void> {
    this.#process?.terminate();
    await this.#process?.done;
  }

  async connect(): Promise<NatsConnection> {
    const connection = await connect({ servers: this.url });
    this.#connections.push(connection);
    return connection;
  }

  async makeStream(): Promise<void> {
    const manager = await jetstreamManager(await this.connect());
    await manager.streams.add({
      name: INVENTORY_STREAM,
      subjects: [INVENTORY_FILTER, MANIFEST_FILTER],
      max_msgs_per_subject: 1,
      allow_direct: true,
    });
  }

  /** The newest message of a subject; undefined when there is none. */
  async last(subject: string): Promise<Uint8Array | undefined> {
    const manager = await jetstreamManager(await this.connect());
    const message = await manager.streams.getMessage(INVENTORY_STREAM, { last_by_subj: subject }).catch(() => null);
    return message?.data;
  }

  async lastObject(subject: string): Promise<InventoryMessage | undefined> {
    const data = await this.last(subject);
    return data === undefined ? undefined : InventoryMessage.decode(data);
  }

  async close(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.close()));
    await this.halt();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Only what never happens reaches it, however slow the machine is. */
const UNTIL_MS = 20_000;

/** Waits for a state; `what` is for the failure. */
export async function until<T>(what: string, probe: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const end = systemClock.monotonicMs() + UNTIL_MS;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (systemClock.monotonicMs() > end) throw new Error(`did not happen: ${what}`);
    await systemClock.sleep(20);
  }
}
