import { limits } from '@pxmgr/contract';

const DAY_MS = 86_400_000;

export const { AGENT_CERTIFICATE_DAYS } = limits;

/** When a certificate and the bus credentials given out now end. */
export function agentTermFrom(now: Date): Date {
  return new Date(now.getTime() + AGENT_CERTIFICATE_DAYS * DAY_MS);
}
