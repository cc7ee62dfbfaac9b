/**
 * metrics/: numbers about this process for Prometheus, on a loopback listener. Names are pxmgr_<room>_<noun>_<unit>;
 * labels never hold a vmid, an image or another unbounded value: both are checked where a metric is made.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { PxmError } from '../error/pxm-error.ts';
import type { CommandResult } from '../exec/command.ts';

const NAME = /^pxmgr(?:_[a-z]+){2,}_(?:total|seconds|bytes|ratio|objects|state)$/;
const UNBOUNDED: readonly string[] = ['vmid', 'guest', 'image', 'operation', 'op', 'plan', 'user', 'path'];
const DURATION_BUCKETS = [0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300];

export interface MetricSpec<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly Label[];
}

/** The registry of one program. */
export class Metrics {
  readonly #registry = new Registry();
  #server: Server | undefined;

  constructor() {
    collectDefaultMetrics({ register: this.#registry, prefix: 'pxmgr_process_' });
  }

  counter<Label extends string = never>(spec: MetricSpec<Label>): Counter<Label> {
    return new Counter(this.#checked(spec));
  }

  /** `read` is asked at each scrape. */
  gauge<Label extends string = never>(spec: MetricSpec<Label>, read?: (gauge: Gauge<Label>) => void): Gauge<Label> {
    const gauge: Gauge<Label> = new Gauge({
      ...this.#checked(spec),
      ...(read === undefined
        ? {}
        : {
            collect: () => {
              read(gauge);
            },
          }),
    });
    return gauge;
  }

  histogram<Label extends string = never>(
    spec: MetricSpec<Label>,
    buckets: readonly number[] = DURATION_BUCKETS,
  ): Histogram<Label> {
    return new Histogram({ ...this.#checked(spec), buckets: [...buckets] });
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** Serves /metrics; only loopback addresses are accepted. Gives the bound port. */
  async listen(address: { host: '127.0.0.1' | '::1'; port: number }): Promise<number> {
    const server = createServer((request, response) => {
      if (request.url !== '/metrics' || request.method !== 'GET') {
        response.writeHead(404).end();
        return;
      }
      this.text().then(
        (text) => response.writeHead(200, { 'content-type': this.#registry.contentType }).end(text),
        () => response.writeHead(500).end(),
      );
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => {
        reject(
          new PxmError(
            'PXM_LISTEN_FAILED',
            { address: `${address.host}:${String(address.port)}`, reason: 'the address is in use or not allowed' },
            { cause: error },
          ),
        );
      });
      server.listen(address, resolve);
    });
    this.#server = server;
    return (server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  #checked<Label extends string>(
    spec: MetricSpec<Label>,
  ): { name: string; help: string; labelNames: Label[]; registers: Registry[] } {
    if (!NAME.test(spec.name)) throw new Error(`metric name ${spec.name} is not pxmgr_<room>_<noun>_<unit>`);
    const bad = (spec.labels ?? []).find((label) => UNBOUNDED.includes(label));
    if (bad !== undefined) throw new Error(`metric ${spec.name}: label ${bad} has no bounds`);
    return { name: spec.name, help: spec.help, labelNames: [...(spec.labels ?? [])], registers: [this.#registry] };
  }
}

/** For RunnerOptions.onResult: commands by tool and outcome. */
export function commandMetrics(metrics: Metrics): (result: CommandResult) => void {
  const duration = metrics.histogram({
    name: 'pxmgr_exec_command_seconds',
    help: 'Duration of commands by tool and outcome',
    labels: ['tool', 'outcome'],
  });
  return (result) => {
    const tool = result.command.file.slice(result.command.file.lastIndexOf('/') + 1);
    duration.observe({ tool, outcome: outcomeOf(result) }, result.ms / 1000);
  };
}

function outcomeOf(result: CommandResult): string {
  if (result.timedOut) return 'timeout';
  if (result.cancelled) return 'cancelled';
  if (result.signal !== null) return 'signal';
  return result.exitCode === 0 ? 'ok' : 'failed';
}
