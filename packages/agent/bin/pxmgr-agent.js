#!/usr/bin/env node
// Lets `npx pxmgr-agent` work in a checkout. Installed machines run dist/pxmgr-agent itself (docs/install.md).
import { existsSync } from 'node:fs';

const bundle = new URL('../../../dist/pxmgr-agent.js', import.meta.url);
if (existsSync(bundle)) {
  await import(bundle.href);
} else {
  process.stderr.write('pxmgr-agent is not built yet: run "npm run build" in the root of the checkout\n');
  process.exitCode = 1;
}
