/** A stretch of network that can be cut: TCP through it stands still, as packets that nobody answers, and goes on when it is healed. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

export class Link {
  readonly #servers: Server[] = [];
  readonly #pairs = new Set<Pair>();
  #isCut = false;

  /** The port of this machine that leads to the other one through the link. */
  async forward(port: number): Promise<number> {
    const server = createServer({ pauseOnConnect: true }, (near) => {
      this.#join({ near, far: connect(port, '127.0.0.1') });
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  cut(): void {
    this.#isCut = true;
    for (const { near, far } of this.#pairs) for (const socket of [near, far]) socket.pause();
  }

  heal(): void {
    this.#isCut = false;
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
    if (!this.#isCut) this.#resume(pair);
  }

  #lead(from: Socket, to: Socket, pair: Pair): void {
    from.pause();
    from.on('data', (data) => to.write(data));
    from.on('error', () => undefined);
    // What ends beyond a cut is not heard of on this side.
    from.on('close', () => {
      if (!this.#isCut) this.#end(pair);
    });
  }

  #resume(pair: Pair): void {
    if (pair.near.destroyed || pair.far.destroyed) this.#end(pair);
    else for (const socket of [pair.near, pair.far]) socket.resume();
  }

  #end(pair: Pair): void {
    this.#pairs.delete(pair);
    pair.near.destroy();
    pair.far.destroy();
  }
}
