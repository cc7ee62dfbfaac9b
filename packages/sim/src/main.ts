/** `pxmgr-sim`: makes stand-in hosts and runs their tools. The executables of a host call `pxmgr-sim tool`. */
import { runToolProcess } from './door/process.ts';

const USAGE = `usage: pxmgr-sim tool --root DIR TOOL [ARGS...]
       pxmgr-sim host create --root DIR --name NAME [--cores N] [--memory-gib N] [--cluster-dir DIR] [--cluster-name NAME]
                             [--ip ADDRESS] [--runtime played|lxc] [--seed TEXT] [--bundle FILE]
       pxmgr-sim host watch --root DIR
`;

async function main(argv: readonly string[]): Promise<number> {
  const [noun, ...rest] = argv;
  if (noun === 'tool' && rest[0] === '--root' && rest[1] !== undefined && rest[2] !== undefined)
    return runToolProcess(rest[1], rest[2], rest.slice(3));
  if (noun === 'host' && (rest[0] === 'create' || rest[0] === 'watch'))
    return (await import('./host-command.ts')).runHostCommand(rest[0], rest.slice(1));
  if (noun === 'guest-ended' && rest[0] !== undefined) return guestEnded(rest[0], Number(rest[1]), rest[2] ?? '');
  process.stderr.write(USAGE);
  return 2;
}

/** Called by the post-stop hook of a really started guest. */
async function guestEnded(root: string, vmid: number, startMark: string): Promise<number> {
  const { Host } = await import('./host/host.ts');
  const { guestEndedByItself } = await import('./lxc/ended.ts');
  await guestEndedByItself(Host.open(root), { vmid, startMark });
  return 0;
}

// Not awaited at the top: the program is built as CommonJS, which V8 can keep compiled.
void main(process.argv.slice(2)).then((status) => process.exit(status));
