/** Recorded curl lines as requests to the stand-in's API, and its answers in the form that the recording has. */
import { type RestAnswer, type RestRequest, restAnswer } from '../../../packages/sim/src/api/rest.ts';
import type { Host } from '../../../packages/sim/src/host/host.ts';
import { ioOf, type Ran } from './made-outcome.ts';
import type { RecordedStep } from './recorded-step.ts';

/** Header files of the recorded lab, by what their token may do. */
const TOKENS: Readonly<Record<string, RestRequest['token']>> = {
  '/root/t.hdr': { user: 'root@pam!rec', hasRights: true },
  '/root/t2.hdr': { user: 'root@pam!rec2', hasRights: false },
};

export async function runRequest(host: Host, step: RecordedStep): Promise<Ran> {
  const { io } = ioOf({});
  return { exit: 0, stderr: '', stdout: printed(await restAnswer(host, requestOf(step.argv), io)) };
}

function requestOf(argv: readonly string[]): RestRequest {
  const after = (word: string): string[] => argv.flatMap((item, n) => (item === word ? [argv[n + 1] ?? ''] : []));
  const headers = after('-H');
  const tokenFile = headers.find((header) => header.startsWith('@'));
  const token = TOKENS[tokenFile?.slice(1) ?? ''];
  const [body] = after('--data');
  return {
    method: after('-X')[0] ?? 'GET',
    path: (argv.at(-1) ?? '').replace(/^https:\/\/[^/]+\/api2\/json\//, ''),
    isJson: headers.some((header) => /^content-type: application\/json/i.test(header)),
    ...(body === undefined ? {} : { body }),
    isAnonymous: tokenFile === undefined,
    ...(token === undefined ? {} : { token }),
  };
}

function printed({ status, reason, body }: RestAnswer): string {
  return JSON.stringify({ status: `${status} ${reason}`, body: body ?? null });
}
