import { limits, parseDuration, parseNodeName } from '@pxmgr/contract';
import { FleetServiceClient } from '@pxmgr/contract/controller';
import { controllerOf } from '../../client.ts';
import { type Command, command } from '../../command.ts';
import { isForPeople } from '../../format.ts';
import { exactTime } from '../../render/time.ts';
import { detail, text } from '../../result.ts';
import { Problems } from '../../spec/problems.ts';

const OPTIONS = {
  node: { kind: 'text', flag: 'node', value: 'NAME', help: 'only the node of this name may use it' },
  ttl: {
    kind: 'text',
    flag: 'ttl',
    value: 'TIME',
    help: `valid for this long (default: ${limits.JOIN_TOKEN_SECONDS / 60}m)`,
  },
} as const;

function tokenCommand(path: string, summary: string, shows: 'token' | 'instructions'): Command {
  return command({
    path,
    summary,
    description:
      'The token works once. It is a secret until then: it holds the address of the controller, the fingerprint of its CA and a key to join.',
    options: OPTIONS,
    examples: [`pxmgr ${path}`, `pxmgr ${path} --node pve4 --ttl 1h`],
    run: async (context, { options }) => {
      const problems = new Problems();
      if (options.node !== undefined) problems.take(`--node ${options.node}`, parseNodeName(options.node));
      const ms =
        options.ttl === undefined
          ? limits.JOIN_TOKEN_SECONDS * 1000
          : problems.take(`--ttl ${options.ttl}`, parseDuration(options.ttl));
      if (ms !== undefined && (ms < 1000 || ms > limits.JOIN_TOKEN_MAX_SECONDS * 1000))
        problems.add(`--ttl ${options.ttl ?? ''}`, 'must be from 1s to 24h');
      problems.refuse();
      const answer = await controllerOf(context).ask(FleetServiceClient, 'createToken', {
        nodeName: options.node ?? '',
        ttlSeconds: Math.round((ms ?? 0) / 1000),
      });
      if (!isForPeople(context.format))
        return detail({ noun: 'JoinToken', name: answer.token, lines: [answer.token], json: answer });
      if (shows === 'token') {
        context.streams.err(`valid once, until ${exactTime(answer.expiresAt)}\n`);
        return text(answer.token);
      }
      return text(
        [
          `Run this on the Proxmox host, as root, until ${exactTime(answer.expiresAt)}:`,
          '',
          `  pxmgr-agent join ${answer.token}`,
          '  systemctl enable --now pxmgr-agent',
        ].join('\n'),
      );
    },
  });
}

export const nodeTokenCreate = tokenCommand(
  'node token create',
  'Make a one-time token with which a node can join',
  'token',
);
export const nodeJoin = tokenCommand(
  'node join',
  'Make a one-time token and print what to run on the new node',
  'instructions',
);
