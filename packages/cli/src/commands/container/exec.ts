import { parseDuration } from '@pxmgr/contract';
import { EnvironmentVariable } from '@pxmgr/contract/common';
import { type ExecGuestRequest, GuestServiceClient } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { controllerOf } from '../../client.ts';
import { argument, command } from '../../command.ts';
import type { Context } from '../../context.ts';
import { parseEnvironment } from '../../spec/environment-flag.ts';
import { Problems } from '../../spec/problems.ts';
import { GUEST_ARG, NODE_OPTION } from '../action-plan.ts';

const CHUNK_BYTES = 64 * 1024;

async function* requests(
  context: Context,
  start: ExecGuestRequest,
  withInput: boolean,
): AsyncGenerator<ExecGuestRequest> {
  yield start;
  if (withInput) {
    for await (const piece of context.streams.stdin) {
      const bytes = typeof piece === 'string' ? Buffer.from(piece) : (piece as Buffer);
      for (let at = 0; at < bytes.length; at += CHUNK_BYTES)
        yield { request: { $case: 'stdin', value: bytes.subarray(at, at + CHUNK_BYTES) } };
    }
  }
  yield { request: { $case: 'stdinClosed', value: true } };
}

export const containerExec = command({
  path: 'container exec',
  summary: 'Run a program in a container; its output, input and exit status are passed through',
  description:
    'The program runs as root of the container in "/", with a clean environment. No terminal is made. Write "--" before the program.',
  args: [GUEST_ARG, { name: 'PROGRAM', help: 'program and its arguments', variadic: true }],
  options: {
    node: NODE_OPTION,
    env: { kind: 'list', flag: 'env', short: 'e', value: 'NAME=VALUE', help: 'environment variable' },
    input: {
      kind: 'flag',
      flag: 'interactive',
      short: 'i',
      help: 'pass standard input on (default: when it is not a terminal)',
    },
    timeout: { kind: 'text', flag: 'timeout', value: 'TIME', help: 'stop the program after this time' },
  },
  passThrough: true,
  examples: ['pxmgr container exec web -- ls -la /srv', 'echo hello | pxmgr container exec 100 -i -- tee /data/hello'],
  run: async (context, input) => {
    const { options, args } = input;
    const problems = new Problems();
    const env = parseEnvironment(options.env, [], problems).map((variable) =>
      EnvironmentVariable.fromPartial(variable),
    );
    const ms =
      options.timeout === undefined ? 0 : problems.take(`--timeout ${options.timeout}`, parseDuration(options.timeout));
    problems.refuse();
    const exec = { vmid: 0, argv: args.slice(1), env, timeoutSeconds: Math.ceil((ms ?? 0) / 1000), actor: '' };
    const start: ExecGuestRequest = {
      request: { $case: 'start', value: { guest: { key: argument(input, 0), node: options.node ?? '' }, exec } },
    };
    const withInput = options.input || !context.streams.stdinIsTty;
    for await (const { response } of controllerOf(context).converse(
      GuestServiceClient,
      'execGuest',
      requests(context, start, withInput),
    )) {
      if (response?.$case === 'stdout') await context.streams.outBytes(response.value);
      else if (response?.$case === 'stderr') await context.streams.errBytes(response.value);
      else if (response?.$case === 'exitCode') return { kind: 'streamed', exit: response.value };
    }
    throw new PxmError('PXM_INTERNAL', {}, { detail: 'the stream ended without an exit status' });
  },
});
