import { redact, stripControl } from '../log/redact.ts';

const MAX_DEPTH = 8;
const MAX_TEXT = 1000;

/** The message of anything thrown, cleaned for people. */
export function messageOf(error: unknown): string {
  const text =
    error instanceof Error ? error.message || error.name : typeof error === 'string' ? error : safeJson(error);
  const clean = stripControl(redact(text)).trim();
  return clean.length > MAX_TEXT ? `${clean.slice(0, MAX_TEXT)}...` : clean;
}

/** Messages of the causes below an error, outer to inner, without texts that an outer one already contains. */
export function causeMessages(error: unknown): string[] {
  const messages: string[] = [];
  const seen = new Set<unknown>([error]);
  let outer = messageOf(error);
  for (
    let cause = causeOf(error);
    cause !== undefined && !seen.has(cause) && seen.size <= MAX_DEPTH;
    cause = causeOf(cause)
  ) {
    seen.add(cause);
    const text = messageOf(cause);
    if (text === '' || outer.includes(text)) continue;
    messages.push(text);
    outer = text;
  }
  return messages;
}

function causeOf(error: unknown): unknown {
  if (error instanceof AggregateError && error.cause === undefined) return error.errors[0] as unknown;
  return error instanceof Error ? error.cause : undefined;
}

function safeJson(value: unknown): string {
  try {
    const json = JSON.stringify(value) as string | undefined;
    return json ?? String(value);
  } catch {
    // Cyclic or hostile value: its type is all that can be said safely.
    return `a thrown ${typeof value}`;
  }
}
