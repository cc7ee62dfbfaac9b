import type { Readiness } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Work } from '../operation/work.ts';
import type { GuestParts } from './parts.ts';

/** A program that ends at once lets `pct start` succeed now and then: it must still run after this time. */
const SETTLE_MS = 1000;
const POLL_MS = 250;
const DEFAULT_SECONDS = 60;
const HTTP_SECONDS = 2;

type Probe = () => Promise<boolean>;

/**
 * Waits until the started guest is ready, looking only from outside: no tool inside is needed and nothing is sent for
 * "running" and "tcp". Errors: PXM_START_FAILED when it ends meanwhile, PXM_NOT_READY when the time is over.
 */
export async function waitReady(
  parts: GuestParts,
  vmid: number,
  wanted: { readiness: Readiness | undefined; work: Work },
): Promise<void> {
  const { work } = wanted;
  const readiness = wanted.readiness ?? { kind: 'running', port: 0, path: '', timeoutSeconds: 0 };
  if (readiness.kind === 'none') return;
  const seconds = readiness.timeoutSeconds === 0 ? DEFAULT_SECONDS : readiness.timeoutSeconds;
  const probe = probeFor(parts, { vmid, readiness, work });
  const start = parts.clock.monotonicMs();
  for (;;) {
    const elapsed = parts.clock.monotonicMs() - start;
    if (!parts.runState.isRunning(vmid)) throw endedEarly(parts, vmid, work);
    if (elapsed >= SETTLE_MS && (await probe())) break;
    if (elapsed >= seconds * 1000) {
      throw new PxmError('PXM_NOT_READY', {
        vmid: String(vmid),
        node: parts.files.node,
        seconds: String(seconds),
        probe: describe(readiness),
      });
    }
    await parts.clock.sleep(POLL_MS, work.signal);
  }
  const addresses = parts.runState.addresses(vmid);
  if (addresses.length > 0) work.result('addresses', addresses.join(', '));
  const ports = parts.runState.listeningPorts(vmid);
  if (ports.length > 0) work.result('ports', ports.join(', '));
}

function probeFor(
  parts: GuestParts,
  { vmid, readiness, work }: { vmid: number; readiness: Readiness; work: Work },
): Probe {
  if (readiness.kind === 'tcp')
    return () => Promise.resolve(parts.runState.listeningPorts(vmid).includes(readiness.port));
  if (readiness.kind === 'http') return () => probeHttp(parts, { vmid, readiness, work });
  return () => Promise.resolve(true);
}

/** From inside the guest's network, with the host's own curl: the host may have no route to the bridge. */
async function probeHttp(
  parts: GuestParts,
  { vmid, readiness, work }: { vmid: number; readiness: Readiness; work: Work },
): Promise<boolean> {
  const pid = parts.runState.initPid(vmid);
  if (pid === undefined || !parts.runState.listeningPorts(vmid).includes(readiness.port)) return false;
  const url = `http://127.0.0.1:${readiness.port}${readiness.path.startsWith('/') ? readiness.path : `/${readiness.path}`}`;
  const limit = String(HTTP_SECONDS);
  const result = await parts.runner.run(
    {
      file: 'nsenter',
      args: [
        '--target',
        String(pid),
        '--net',
        '--',
        'curl',
        '--silent',
        '--fail',
        '--max-time',
        limit,
        '--output',
        '/dev/null',
        '--',
        url,
      ],
      purpose: `ask ${url} in container ${vmid}`,
      timeoutMs: (HTTP_SECONDS + 3) * 1000,
      killGraceMs: 500,
      readOnly: true,
    },
    { signal: work.signal, operationId: work.id },
  );
  return result.exitCode === 0;
}

/** LXC writes only its own start errors there; the last lines are the best reason there is. */
function endedEarly(parts: GuestParts, vmid: number, work: Work): PxmError {
  const lines = (parts.paths.readIfThere(`/run/pve/ct-${vmid}.stderr`) ?? '').trim().split('\n').slice(-3);
  const detail = ['its program ended at once', ...lines.filter((line) => line !== '')].join('; ');
  return new PxmError(
    'PXM_START_FAILED',
    { vmid: String(vmid), node: parts.files.node, operation: work.id },
    { detail },
  );
}

function describe(readiness: Readiness): string {
  if (readiness.kind === 'tcp') return `nothing listens on port ${readiness.port}`;
  if (readiness.kind === 'http') return `http://127.0.0.1:${readiness.port}${readiness.path} does not answer`;
  return 'it does not run';
}
