import { AccessServiceClient, type AuditEntry } from '@pxmgr/contract/controller';
import { controllerOf } from '../../client.ts';
import { command } from '../../command.ts';
import { relativeTime } from '../../render/time.ts';
import { list } from '../../result.ts';
import { parseLimit } from '../../spec/limit-flag.ts';
import { parseMoment } from '../../spec/moment-flag.ts';
import { Problems } from '../../spec/problems.ts';

export const auditList = command({
  path: 'audit list',
  summary: 'Show who asked for what change and who was refused, newest first',
  description:
    'Every call that changes something leaves a row, and every call that was refused to a caller who is known. What was in a call is not kept. RUNNING is a call that lasts, UNKNOWN one whose end a crash of the controller hid. Only for the role admin.',
  options: {
    who: { kind: 'text', flag: 'who', value: 'IDENTITY', help: 'operator:NAME, agent:UID or anonymous' },
    refused: { kind: 'flag', flag: 'refused', help: 'only what did not end well' },
    since: { kind: 'text', flag: 'since', value: 'TIME', help: 'since then (2h, or 2026-11-20T08:00:00Z)' },
    until: { kind: 'text', flag: 'until', value: 'TIME', help: 'until then' },
    limit: { kind: 'text', flag: 'limit', value: 'N', help: 'at most N (default: 50)' },
  },
  examples: ['pxmgr audit list --refused --since 1d', 'pxmgr audit list --who operator:ann -o ndjson'],
  run: async (context, { options }) => {
    const problems = new Problems();
    const since = parseMoment(['since', options.since], context.clock.now(), problems);
    const until = parseMoment(['until', options.until], context.clock.now(), problems);
    const limit = parseLimit(options.limit, problems);
    problems.refuse();
    const { entries } = await controllerOf(context).ask(AccessServiceClient, 'listAudit', {
      identity: options.who ?? '',
      refusedOnly: options.refused,
      since,
      until,
      limit,
      beforeId: 0n,
    });
    return list<AuditEntry>({
      noun: 'AuditEntry',
      rows: entries,
      columns: [
        { head: 'ID', align: 'right', wide: true, value: (row) => String(row.id) },
        { head: 'WHEN', value: (row) => relativeTime(row.at, context.clock.now()) },
        { head: 'WHO', shrink: 2, value: (row) => row.identity },
        { head: 'CALL', value: (row) => row.method },
        { head: 'WHAT', shrink: 1, value: (row) => row.target || '-' },
        { head: 'OUTCOME', value: (row) => row.outcome },
      ],
      name: (row) => String(row.id),
      json: (row) => row,
      empty: 'nothing recorded',
    });
  },
});
