/** `lxc-attach` for guests of the stand-in: the options a caller needs to run one program, on the host's runtime. */

import type { Tool, ToolIo } from '../call/tool.ts';
import { runningGuest } from '../host/running.ts';
import { runtimeOf } from '../runtime/of-host.ts';
import type { ExecRequest } from '../runtime/runtime.ts';

interface Call {
  name: string | undefined;
  keepEnv: boolean;
  setVars: string[];
  uid: number | undefined;
  gid: number | undefined;
  argv: readonly string[];
}

const WITH_VALUE: Readonly<Record<string, (call: Call, value: string) => void>> = {
  '-n': (call, value) => (call.name = value),
  '--name': (call, value) => (call.name = value),
  '-P': () => undefined,
  '--lxcpath': () => undefined,
  '-v': (call, value) => call.setVars.push(value),
  '--set-var': (call, value) => call.setVars.push(value),
  '-u': (call, value) => (call.uid = Number(value)),
  '--uid': (call, value) => (call.uid = Number(value)),
  '-g': (call, value) => (call.gid = Number(value)),
  '--gid': (call, value) => (call.gid = Number(value)),
};

export const lxcAttach: Tool = async (host, argv, io) => {
  const call = readCall(argv);
  if (typeof call === 'string') return fail(io, `lxc-attach: ${call}\n`);
  const vmid = Number(call.name);
  if (runningGuest(host, vmid)?.kind !== 'lxc') {
    const file = `lxc-attach: ${call.name ?? ''}: ../src/lxc/attach.c`;
    return fail(
      io,
      `${file}: get_attach_context: 405 Connection refused - Failed to get init pid\n${file}: lxc_attach: 1469 Connection refused - Failed to get attach context\n`,
    );
  }
  const request: ExecRequest = {
    argv: call.argv.length === 0 ? ['/bin/sh'] : call.argv,
    keepEnv: call.keepEnv,
    setVars: call.setVars,
    ...(call.uid === undefined ? {} : { uid: call.uid }),
    ...(call.gid === undefined ? {} : { gid: call.gid }),
    io,
  };
  return (await runtimeOf(host)).exec(host, vmid, request);
};

function fail(io: ToolIo, text: string): number {
  io.err(text);
  return 1;
}

/** The text of a usage error, or the call. Everything after `--` or the first plain word is the program. */
function readCall(argv: readonly string[]): Call | string {
  const call: Call = { name: undefined, keepEnv: true, setVars: [], uid: undefined, gid: undefined, argv: [] };
  for (let at = 0; at < argv.length; at += 1) {
    const [word, attached] = splitLong(argv[at] ?? '');
    if (word === '--') {
      call.argv = argv.slice(at + 1);
      break;
    }
    if (!word.startsWith('-')) {
      call.argv = argv.slice(at);
      break;
    }
    if (word === '--clear-env') call.keepEnv = false;
    else if (word === '--keep-env') call.keepEnv = true;
    else {
      const take = WITH_VALUE[word];
      if (take === undefined) return `unrecognized option '${word}'`;
      const value = attached ?? argv[(at += 1)];
      if (value === undefined) return `option '${word}' requires an argument`;
      take(call, value);
    }
  }
  return call.name === undefined ? 'missing container name, use --name option' : call;
}

/** `--set-var=A=b` is `--set-var` with a value. */
function splitLong(word: string): [string, string?] {
  const at = word.startsWith('--') ? word.indexOf('=') : -1;
  return at < 0 ? [word] : [word.slice(0, at), word.slice(at + 1)];
}
