/** pxmgr: the one file of this program that touches the process itself. */
import { start } from './start.ts';
import { allSaid, processStreams, terminalQuestion } from './terminal.ts';

const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    interrupt.abort();
    process.once(signal, () => process.exit(signal === 'SIGINT' ? 130 : 143));
  });
}
// "pxmgr container list | head -1": the reader has what it wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});
// Nobody hears what went wrong then; the exit status tells it all the same.
process.stderr.on('error', () => undefined);

// Not awaited at the top: the program is shipped as CommonJS, which V8 can keep compiled.
void start({
  argv: process.argv.slice(2),
  env: process.env,
  streams: processStreams(),
  interrupted: interrupt.signal,
  ask: terminalQuestion(interrupt.signal),
}).then(async (exitCode) => {
  await allSaid();
  // At once: closing the connection and taking Node apart would be a tenth of a short command.
  process.exit(exitCode);
});
