/**
 * A stretch of network that can be cut or slowed down: TCP through a cut stands still, as packets that nobody answers,
 * and goes on when it is healed.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Stretch } from '../../deploy/stand/node.ts';

/** What a bad line does to each direction. */
export interface Slowness {
  readonly latencyMs: number;
  readonly bytesPerSecond: number;
}

interface Pair {
  readonly stretch: Stretch;
  readonly near: Socket;
  readonly far: Socket;
}

/** One way of a connection: what is sent arrives in order, later by the latency, and no faster than the line is. */
interface Direction {
  /** Timers of about the same time may ring in another order than they were set: each brings what is first. */
  readonly underWay: Buffer[];
  freeAt: number;
  lastArrivesAt: number;
  /** The end comes after what was sent before it, however late the timers ring. */
  whenEmpty: () => void;
}

export class Link {
  readonly #servers: Server[] = [];
  readonly #pairs = new Set<Pair>();
  readonly #cut = new Set<Stretch>();
  readonly #garbled = new Set<Pair>();
  #slowness: Slowness | undefined;

  /** The port of this machine that leads to the other one through the link. */
  async forward(port: number, stretch: Stretch): Promise<number> {
    const server = createServer({ pauseOnConnect: true }, (near) => {
      this.#join({ stretch, near, far: connect(port, '127.0.0.1') });
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  /** Both stretches between a node and the controller, or those that are named. */
  cut(...stretches: readonly Stretch[]): void {
    for (const stretch of stretches.length === 0 ? (['agent', 'bus'] as const) : stretches) this.#cut.add(stretch);
    for (const { stretch, near, far } of this.#pairs)
      if (this.#cut.has(stretch)) for (const socket of [near, far]) socket.pause();
  }

  /** What is under way and what comes; `undefined`: as fast as the machine. */
  slow(slowness: Slowness | undefined): void {
    this.#slowness = slowness;
  }

  /** A bit falls over in what comes next on every connection that is there now: TLS gives it up. */
  garble(): void {
    for (const pair of this.#pairs) this.#garbled.add(pair);
  }

  heal(): void {
    this.#cut.clear();
    for (const pair of [...this.#pairs]) this.#resume(pair);
  }

  async close(): Promise<void> {
    for (const { near, far } of this.#pairs) for (const socket of [near, far]) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  #join(pair: Pair): void {
    this.#pairs.add(pair);
    this.#lead(pair.near, pair.far, pair);
    this.#lead(pair.far, pair.near, pair);
    if (!this.#cut.has(pair.stretch)) this.#resume(pair);
  }

  #lead(from: Socket, to: Socket, pair: Pair): void {
    const line: Direction = { underWay: [], freeAt: 0, lastArrivesAt: 0, whenEmpty: () => undefined };
    from.pause();
    from.on('data', (data: Buffer) => {
      if (this.#garbled.delete(pair)) data.writeUInt8(data.readUInt8(data.length - 1) ^ 1, data.length - 1);
      this.#carry(data, to, line);
    });
    from.on('error', () => undefined);
    // What ends beyond a cut is not heard of on this side.
    from.on('close', () => {
      if (this.#cut.has(pair.stretch)) return;
      line.whenEmpty = () => this.#end(pair);
      if (line.underWay.length === 0) line.whenEmpty();
    });
  }

  #carry(data: Buffer, to: Socket, line: Direction): void {
    const now = performance.now();
    if (this.#slowness === undefined && line.underWay.length === 0) {
      to.write(data);
      return;
    }
    const { latencyMs, bytesPerSecond } = this.#slowness ?? { latencyMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY };
    line.freeAt = Math.max(line.freeAt, now) + (data.length / bytesPerSecond) * 1000;
    line.lastArrivesAt = Math.max(line.lastArrivesAt, line.freeAt + latencyMs);
    line.underWay.push(data);
    setTimeout(() => {
      to.write(line.underWay.shift() ?? '');
      if (line.underWay.length === 0) line.whenEmpty();
    }, line.lastArrivesAt - now);
  }

  #resume(pair: Pair): void {
    if (this.#cut.has(pair.stretch)) return;
    if (pair.near.destroyed || pair.far.destroyed) this.#end(pair);
    else for (const socket of [pair.near, pair.far]) socket.resume();
  }

  #end(pair: Pair): void {
    this.#pairs.delete(pair);
    this.#garbled.delete(pair);
    pair.near.destroySoon();
    pair.far.destroySoon();
  }
}
