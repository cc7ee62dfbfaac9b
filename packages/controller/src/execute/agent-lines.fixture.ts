/** For tests: lines to played agents on UNIX sockets. */
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { type Channel, createChannel } from '@pxmgr/kit/rpc/channel';
import type { PlayedAgent } from './agent.fixture.ts';
import type { AgentLines } from './grpc-agents.ts';

/** By node uid. */
export class SocketLines implements AgentLines {
  readonly #channels = new Map<string, Channel>();

  add(agent: PlayedAgent, path: string): void {
    const options = { address: `unix:${path}`, peerName: agent.name, unreachable: 'PXM_NODE_UNREACHABLE' as const };
    this.#channels.set(agent.uid, createChannel(options));
  }

  async reach<T>(nodeUid: string, use: (channel: Channel) => Promise<T>): Promise<T> {
    return await use(this.channel(nodeUid));
  }

  channel(nodeUid: string): Channel {
    const channel = this.#channels.get(nodeUid);
    if (channel === undefined) throw new PxmError('PXM_NODE_NOT_FOUND', { node: nodeUid });
    return channel;
  }

  close(): void {
    for (const channel of this.#channels.values()) channel.close();
  }
}
