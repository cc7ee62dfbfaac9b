/** `--ready none|running|tcp:PORT|http:PORT[/path]` */
import { parseDuration } from '@pxmgr/contract';
import { Readiness } from '@pxmgr/contract/common';
import type { Problems } from './problems.ts';

const DEFAULT_TIMEOUT_SECONDS = 60;

export function parseReadiness(value: string | undefined, timeout: string | undefined, problems: Problems): Readiness | undefined {
  const ms = timeout === undefined ? DEFAULT_TIMEOUT_SECONDS * 1000 : problems.take(`--ready-timeout ${timeout}`, parseDuration(timeout));
  const timeoutSeconds = Math.max(1, Math.round((ms ?? 0) / 1000));
  if (value === undefined) return timeout === undefined ? undefined : Readiness.fromPartial({ timeoutSeconds });
  const match = /^(none|running|tcp:(\d{1,5})|http:(\d{1,5})(\/\S*)?)$/.exec(value);
  const port = Number(match?.[2] ?? match?.[3] ?? 0);
  if (match === null || port > 65_535 || (value.includes(':') && port === 0)) {
    problems.add(`--ready ${value}`, 'write none, running, tcp:PORT or http:PORT/path');
    return undefined;
  }
  return Readiness.fromPartial({ kind: value.split(':')[0] ?? '', port, path: match[3] === undefined ? '' : (match[4] ?? '/'), timeoutSeconds });
}
