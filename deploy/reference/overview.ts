import { CAPABILITIES } from '@pxmgr/contract';
import { cell, type Page, page, table } from './page.ts';

/** docs/reference/capabilities.md: what an agent may be able to do on its node. */
export function renderCapabilities(): Page {
  const rows = CAPABILITIES.map((row) => [`\`${row.name}\``, cell(row.needs), row.since]);
  const body = `An agent reports which of these its node has; \`pxmgr node get\` shows them.\n\n${table(['Capability', 'Needs', 'Since'], rows)}`;
  return page('docs/reference/capabilities.md', 'Capabilities of a node', body);
}

/** docs/reference/README.md: the list of the pages beside it. */
export function renderReferenceIndex(pages: readonly Page[]): Page {
  const lines = pages.map((one) => `- [${one.title}](${one.path.replace('docs/reference/', '')})`);
  return page('docs/reference/README.md', 'Reference', lines.join('\n'));
}
