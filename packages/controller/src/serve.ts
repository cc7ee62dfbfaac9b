import { PRODUCT_VERSION } from '@pxmgr/contract';
import { createIdSource, systemClock } from '@pxmgr/kit/clock';
import { explainError } from '@pxmgr/kit/error/explain';
import { createRunner } from '@pxmgr/kit/exec/run';
import { Lifecycle } from '@pxmgr/kit/lifecycle/lifecycle';
import { createNotifier } from '@pxmgr/kit/lifecycle/notify';
import { forStderr } from '@pxmgr/kit/log/journal';
import { createLogger } from '@pxmgr/kit/log/logger';
import { commandMetrics, Metrics } from '@pxmgr/kit/metrics/metrics';
import { splitAddress } from '@pxmgr/kit/rpc/address';
import type { Config } from './config.ts';
import { registerSelfMetrics } from './self-metrics.ts';
import { Controller } from './wire.ts';

/** Runs the daemon until a signal; gives the exit code. `reload` reads the configuration again. */
export async function serve(
  config: Config,
  reload: () => Config,
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const logger = createLogger({
    service: 'controller',
    version: PRODUCT_VERSION,
    level: config.log_level,
    syslogPrefix: env['JOURNAL_STREAM'] !== undefined,
  });
  const metrics = new Metrics();
  const runner = createRunner({ path: config.path, logger, onResult: commandMetrics(metrics) });
  const controller = new Controller({ config, clock: systemClock, ids: createIdSource(), runner, logger });
  registerSelfMetrics(metrics, () => controller.facts());
  const lifecycle = new Lifecycle({
    logger,
    notifier: createNotifier({ runner, logger, env }),
    report: (error) => void process.stderr.write(forStderr(explainError(error), env)),
  });
  lifecycle.add('metrics', {
    start: async () => {
      if (config.metrics_listen !== '') await metrics.listen(loopback(config.metrics_listen));
    },
    stop: async () => {
      await metrics.stop();
    },
  });
  lifecycle.add('controller', {
    start: async () => {
      await controller.start();
    },
    stop: async () => {
      await controller.stop();
    },
    reload: () => {
      logger.level = reload().log_level;
    },
  });
  return await lifecycle.run();
}

function loopback(address: string): { host: '127.0.0.1' | '::1'; port: number } {
  const { host, port } = splitAddress(address);
  return { host: host === '::1' ? '::1' : '127.0.0.1', port };
}
