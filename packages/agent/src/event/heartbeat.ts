/** Signs of life, and the figures that move all the time. Neither is kept: the next one is soon there. */

import type { Position } from '@pxmgr/contract';
import { heartbeatSubject, limits, metricsSubject } from '@pxmgr/contract';
import type { GuestMetrics, StorageMetrics } from '@pxmgr/contract/event';
import { HeartbeatMessage, MetricsMessage } from '@pxmgr/contract/event';
import type { Clock } from '@pxmgr/kit/clock';
import type { Logger } from '@pxmgr/kit/log/logger';
import type { CpuTimes } from '../host/facts.ts';
import { readNodeUsage, readUptimeSeconds } from '../host/facts.ts';
import type { HostPaths } from '../host/paths.ts';
import type { StorageSpace } from '../host/rrd.ts';
import type { BusConnection } from './bus.ts';

export interface HeartbeatParts {
  readonly bus: BusConnection;
  readonly paths: HostPaths;
  readonly nodeUid: string;
  readonly nodeName: string;
  readonly agentVersion: string;
  readonly agentAddress: string;
  readonly position: () => Position;
  readonly activeOperations: () => number;
  readonly runningContainers: () => Iterable<number>;
  readonly storageSpaces: () => Promise<ReadonlyMap<string, StorageSpace>>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Every second beat carries metrics. */
const BEATS_PER_METRICS = 2;

export class Heartbeat {
  readonly #parts: HeartbeatParts;
  #cpu: CpuTimes | undefined;
  #isServing = false;

  constructor(parts: HeartbeatParts) {
    this.#parts = parts;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#parts;
    for (let beat = 0; !signal.aborted; beat += 1) {
      try {
        this.beat();
        if (beat % BEATS_PER_METRICS === 0) await this.#sendMetrics();
      } catch (error) {
        logger.warn({ err: error }, 'heartbeat could not be sent');
      }
      const jitter = 0.8 + 0.4 * Math.random();
      await clock.sleep(limits.HEARTBEAT_SECONDS * 1000 * jitter, signal).catch(() => undefined);
    }
  }

  /** Orders are taken from now on: beats name the address, the first of them at once. */
  tellServing(): void {
    this.#isServing = true;
    this.beat();
  }

  /** Nothing is sent while there is no connection: an old sign of life is none. */
  beat(): void {
    const { bus, paths, nodeUid, nodeName, agentVersion, agentAddress, clock } = this.#parts;
    const message: HeartbeatMessage = {
      ...this.#parts.position(),
      at: clock.now(),
      nodeName,
      uptimeSeconds: readUptimeSeconds(paths),
      agentVersion,
      agentAddress: this.#isServing ? agentAddress : '',
      activeOperations: this.#parts.activeOperations(),
    };
    bus.current?.connection.publish(heartbeatSubject(nodeUid), HeartbeatMessage.encode(message).finish());
  }

  async #sendMetrics(): Promise<void> {
    const { bus, nodeUid } = this.#parts;
    if (bus.current === undefined) return;
    const message = await this.#metrics();
    bus.current.connection.publish(metricsSubject(nodeUid), MetricsMessage.encode(message).finish());
  }

  async #metrics(): Promise<MetricsMessage> {
    const { paths, clock } = this.#parts;
    const usage = readNodeUsage(paths);
    const spaces = await this.#parts.storageSpaces();
    return {
      at: clock.now(),
      cpuFraction: this.#cpuFraction(usage.cpu),
      memoryUsedBytes: usage.memoryUsedBytes,
      memoryTotalBytes: usage.memoryTotalBytes,
      load1: usage.load1,
      uptimeSeconds: usage.uptimeSeconds,
      guests: [...this.#parts.runningContainers()].map((vmid) => this.#guest(vmid)),
      storages: [...spaces].map(([id, space]): StorageMetrics => ({ id, ...space })),
    };
  }

  /** Share of busy time since the last call; 0 at the first. */
  #cpuFraction(now: CpuTimes): number {
    const before = this.#cpu;
    this.#cpu = now;
    if (before === undefined || now.total <= before.total) return 0;
    return (now.busy - before.busy) / (now.total - before.total);
  }

  /** Figures of cgroup v2 at `lxc/ID`, which holds the limits too; 0 where they are not told. */
  #guest(vmid: number): GuestMetrics {
    const { paths } = this.#parts;
    const base = `/sys/fs/cgroup/lxc/${vmid}`;
    const memory = paths.attribute(`${base}/memory.current`) ?? '';
    const usage = /^usage_usec (\d+)$/m.exec(paths.readIfThere(`${base}/cpu.stat`) ?? '')?.[1] ?? '0';
    return { vmid, memoryBytes: /^\d+$/.test(memory) ? BigInt(memory) : 0n, cpuUsec: BigInt(usage) };
  }
}
