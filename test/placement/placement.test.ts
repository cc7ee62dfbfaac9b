import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { playScenario } from './play-scenario.ts';

const FOLDER = join(import.meta.dirname, 'scenarios');
const SCENARIOS = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));

/** Each scenario has its numbers worked out by hand in its comments. UPDATE_GOLDEN=1 writes the answers anew. */
describe('placement scenarios', () => {
  it.each(SCENARIOS)('%s', (name) => {
    const answer = playScenario(readFileSync(join(FOLDER, name), 'utf8'));
    const golden = join(FOLDER, name.replace(/\.yaml$/, '.golden.txt'));
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, answer);
    expect(answer).toBe(readFileSync(golden, 'utf8'));
  });
});
