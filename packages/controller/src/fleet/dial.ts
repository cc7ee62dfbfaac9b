import type { Clock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { type Channel, createChannel } from '@pxmgr/kit/rpc/channel';
import type { TlsMaterial } from '@pxmgr/kit/rpc/tls';
import { PeerBreakers } from '@pxmgr/kit/sync/peer-breakers';
import type { KnownNode, Registry } from './registry.ts';

export interface DialerOptions {
  readonly registry: Registry;
  /** Our client certificate as the controller. */
  readonly tls: TlsMaterial;
  readonly clock: Clock;
}

interface Line {
  readonly address: string;
  readonly channel: Channel;
}

/** Channels to agents, one per node, kept open. Refuses nodes that are down; stops trying nodes that do not answer. */
export class Dialer {
  readonly #options: DialerOptions;
  readonly #lines = new Map<string, Line>();
  readonly #breakers = new PeerBreakers();
  #tls: TlsMaterial;

  constructor(options: DialerOptions) {
    this.#options = options;
    this.#tls = options.tls;
    options.registry.onPresence((node, before) => {
      if (node.presence === 'up' && before !== 'up') this.#breakers.reset(node.uid);
    });
    // What failed until now was said to the agent before it, or to this one while it started.
    options.registry.onServing(({ uid }) => {
      this.#breakers.reset(uid);
      this.#lines.get(uid)?.channel.resetBackoff();
    });
  }

  /**
   * One exchange with the agent of a node (name or uid). Errors: PXM_NODE_NOT_FOUND; PXM_NODE_DOWN, when nothing was
   * sent; otherwise what `use` throws. Never repeats `use`.
   */
  async reach<T>(node: string, use: (channel: Channel, node: KnownNode) => Promise<T>): Promise<T> {
    const known = this.#callable(node);
    return await this.#breakers.run(known.uid, async () => await use(this.#line(known), known));
  }

  /** For streams, which live longer than a breaker's judgement. Errors as `reach`, at once. */
  channel(node: string): Channel {
    return this.#line(this.#callable(node));
  }

  /** Closes the channel of a node that left. */
  hangUp(nodeUid: string): void {
    this.#lines.get(nodeUid)?.channel.close();
    this.#lines.delete(nodeUid);
    this.#breakers.reset(nodeUid);
  }

  /** For the next handshakes. */
  reloadTls(tls: TlsMaterial): void {
    this.#tls = tls;
    for (const line of this.#lines.values()) line.channel.reloadTls(tls);
  }

  close(): void {
    for (const uid of [...this.#lines.keys()]) this.hangUp(uid);
  }

  #callable(key: string): KnownNode {
    const node = this.#options.registry.get(key);
    if (node.presence !== 'down') return node;
    throw new PxmError('PXM_NODE_DOWN', {
      node: node.name,
      presence: node.presence,
      seen: node.lastSeenAt?.toISOString() ?? 'never',
    });
  }

  #line(node: KnownNode): Channel {
    const known = this.#lines.get(node.uid);
    if (known?.address === node.address) return known.channel;
    known?.channel.close();
    const channel = createChannel({
      address: node.address,
      tls: this.#tls,
      peer: { kind: 'agent', name: node.uid },
      peerName: node.name,
    });
    this.#lines.set(node.uid, { address: node.address, channel });
    return channel;
  }
}
