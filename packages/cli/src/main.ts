/** pxmgr: the one file of this program that touches the process itself. */
import { start } from './start.ts';
import { ProcessInput, processStreams, terminalQuestion } from './terminal.ts';

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

const input = new ProcessInput();
// Not awaited at the top: the program is shipped as CommonJS, which V8 can keep compiled.
void start({
  argv: process.argv.slice(2),
  env: process.env,
  streams: processStreams(input),
  interrupted: interrupt.signal,
  ask: terminalQuestion(interrupt.signal),
}).then((exitCode) => {
  process.exitCode = exitCode;
  input.close();
});
