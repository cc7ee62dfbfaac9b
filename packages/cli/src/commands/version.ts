import { CONTRACT_VERSION, PRODUCT_VERSION } from '@pxmgr/contract';
import { command } from '../command.ts';
import { detail } from '../result.ts';

export const version = command({
  path: 'version',
  summary: 'Show the version of this program',
  examples: ['pxmgr version -o json'],
  run: async () => {
    const json = { version: PRODUCT_VERSION, contract: CONTRACT_VERSION, node: process.versions.node };
    return await Promise.resolve(
      detail({
        noun: 'Version',
        name: PRODUCT_VERSION,
        lines: [`pxmgr ${PRODUCT_VERSION} (contract ${CONTRACT_VERSION}, Node.js ${process.versions.node})`],
        json,
      }),
    );
  },
});
