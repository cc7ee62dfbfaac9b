import { readFile } from 'node:fs/promises';
import { Operation, OperationEvent } from '@pxmgr/contract/common';
import { type Begin, type JournalReplay, journalPath, type Line, parseLine, type RecordedEffect } from './journal.ts';

/**
 * Undefined when the file holds no complete first line: the operation had not begun. Throws on a journal that does not
 * begin as one.
 */
export async function readJournal(directory: string, id: string): Promise<JournalReplay | undefined> {
  return replay(await readFile(journalPath(directory, id), 'utf8'));
}

/** What the lines read so far add up to. */
interface Reading {
  begin?: Begin;
  operation?: Operation;
  readonly effects: Map<number, RecordedEffect>;
  readonly events: OperationEvent[];
}

function replay(text: string): JournalReplay | undefined {
  const lines = text.split('\n').slice(0, -1);
  if (lines.length === 0) return undefined;
  const reading: Reading = { effects: new Map(), events: [] };
  let damagedLines = 0;
  for (const line of lines.map(parseLine)) {
    if (line === undefined) damagedLines += 1;
    else readLine(reading, line);
  }
  const { begin, operation, effects, events } = reading;
  if (begin === undefined || operation === undefined) throw new Error('its first line is damaged');
  const { keys, params } = begin;
  return { operation, keys, params, effects: [...effects.values()], damagedLines, events };
}

function readLine(reading: Reading, line: Line): void {
  const { begin, intent, outcome } = line;
  if (begin !== undefined) {
    reading.begin = begin;
    reading.operation = Operation.fromJSON(begin.operation);
  }
  if (intent !== undefined) reading.effects.set(intent.n, { name: intent.name, data: intent.data, outcome: undefined });
  if (outcome !== undefined) settle(reading.effects, outcome);
  if (line.event === undefined) return;
  const event = OperationEvent.fromJSON(line.event);
  reading.events.push(event);
  // The events stay as they were told; the operation goes on.
  const { event: own } = structuredClone(event);
  if (own?.$case === 'operation') reading.operation = own.value;
  else if (reading.operation !== undefined) addTo(reading.operation, own);
}

/** Not every event carries the whole operation. */
function addTo({ steps, warnings }: Operation, event: OperationEvent['event']): void {
  if (event?.$case === 'stepChanged') {
    const at = steps.findIndex(({ index }) => index === event.value.index);
    steps.splice(at < 0 ? steps.length : at, 1, event.value);
  }
  if (event?.$case === 'log' && event.value.stream === 'warning' && !warnings.includes(event.value.text))
    warnings.push(event.value.text);
}

function settle(effects: Map<number, RecordedEffect>, outcome: { n: number; done: boolean }): void {
  const effect = effects.get(outcome.n);
  if (effect !== undefined) effects.set(outcome.n, { ...effect, outcome: outcome.done ? 'done' : 'failed' });
}
