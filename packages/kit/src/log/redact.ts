/**
 * log/: what leaves the process as text. This file holds the registry of secrets: whoever reads a secret registers
 * it, and the logger, the command log and error texts pass through `redact`. It is process-wide on purpose: a secret
 * read in one room must not leak through the log of another.
 */
const MASK = '***';
/** Shorter strings would blank out ordinary words; they are masked only as whole argv words. */
const MIN_SUBSTRING = 4;

const registered = new Set<string>();
let pattern: RegExp | undefined;

/** Makes a secret unprintable from here on, also in JSON-escaped and base64 form and line by line. */
export function registerSecret(secret: string): void {
  for (const form of formsOf(secret)) registered.add(form);
  pattern = undefined;
}

/** For tests: forgets everything. */
export function forgetSecrets(): void {
  registered.clear();
  pattern = undefined;
}

/** Text with every registered secret masked. */
export function redact(text: string): string {
  if (registered.size === 0) return text;
  pattern ??= patternOf(registered);
  return text.replace(pattern, MASK);
}

/** Text with the given secrets masked; a secret that is the whole text is masked whatever its length. */
export function maskSecrets(text: string, secrets: readonly string[]): string {
  let masked = text;
  for (const secret of secrets) {
    if (secret === '') continue;
    if (masked === secret) return MASK;
    for (const form of formsOf(secret)) masked = masked.replaceAll(form, MASK);
  }
  return masked;
}

function formsOf(secret: string): string[] {
  const forms = new Set<string>();
  for (const line of [secret, secret.trim(), ...secret.split(/\r?\n/)]) {
    if (line.length < MIN_SUBSTRING || line.startsWith('-----')) continue;
    forms.add(line);
    forms.add(JSON.stringify(line).slice(1, -1));
    if (line.length >= 8) forms.add(Buffer.from(line).toString('base64'));
  }
  return [...forms];
}

function patternOf(secrets: ReadonlySet<string>): RegExp {
  const escaped = [...secrets]
    .sort((a, b) => b.length - a.length)
    .map((secret) => secret.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(escaped.join('|'), 'g');
}

// C0, DEL and C1 without tab; the bidirectional overrides that can turn a line around; lone surrogates.
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\p{Surrogate}]/gu;

const ESCAPE_SEQUENCE = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;

/** One line of text without terminal sequences and control characters (tab stays); line feeds become spaces. */
export function stripControl(text: string): string {
  return text.replace(ESCAPE_SEQUENCE, '').replace(/\r?\n/g, ' ').replace(CONTROL, '');
}

/** As `stripControl`, and every kind of line end becomes a line feed. */
export function stripControlInLines(text: string): string {
  return text
    .replace(ESCAPE_SEQUENCE, '')
    .split(/\r\n|\r|\n/)
    .map((line) => line.replace(CONTROL, ''))
    .join('\n');
}
