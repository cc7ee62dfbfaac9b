/** `--ready none|running|tcp:PORT|http:PORT[/path]` */
import { parseDuration } from '@pxmgr/contract';
import { Readiness } from '@pxmgr/contract/common';
import type { Problems } from './problems.ts';

const DEFAULT_TIMEOUT_SECONDS = 60;

function parseProbe(value: string): { kind: string; port: number; path: string } | undefined {
  if (value === 'none' || value === 'running') return { kind: value, port: 0, path: '' };
  const [, kind = '', digits = '', path = ''] = /^(tcp|http):(\d{1,5})(\/[^\s\p{Cc}]*)?$/u.exec(value) ?? [];
  const port = Number(digits);
  if (port < 1 || port > 65_535) return undefined;
  if (kind === 'tcp') return path === '' ? { kind, port, path } : undefined;
  return { kind, port, path: path || '/' };
}

export function parseReadiness(
  value: string | undefined,
  timeout: string | undefined,
  problems: Problems,
): Readiness | undefined {
  if (value === undefined && timeout === undefined) return undefined;
  const ms =
    timeout === undefined
      ? DEFAULT_TIMEOUT_SECONDS * 1000
      : problems.take(`--ready-timeout ${timeout}`, parseDuration(timeout));
  const timeoutSeconds = Math.max(1, Math.round((ms ?? 0) / 1000));
  if (value === undefined) return Readiness.fromPartial({ timeoutSeconds });
  const probe = parseProbe(value);
  if (probe === undefined) problems.add(`--ready ${value}`, 'write none, running, tcp:PORT or http:PORT/path');
  return probe === undefined ? undefined : Readiness.fromPartial({ ...probe, timeoutSeconds });
}
