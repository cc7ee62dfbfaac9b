import type * as z from 'zod';

type Issue = z.core.$ZodIssue;

const WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  array: 'a list',
  boolean: 'true or false',
  number: 'a number',
  int: 'a whole number',
  object: 'a group of "key: value" lines',
};

/** What a value must be, in words that follow the name of the key: "must be one of table, wide". */
export function reasonOf(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${WORDS[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return tooSmall(issue);
    case 'too_big':
      return `must be at most ${String(issue.maximum)}`;
    case 'unrecognized_keys':
      return `does not know ${issue.keys.join(', ')}`;
    case 'invalid_union':
      return unionReason(issue);
    case 'invalid_format':
      return issue.format === 'starts_with' ? 'must be an absolute path' : ownWords(issue);
    default:
      return ownWords(issue);
  }
}

function tooSmall(issue: Extract<Issue, { code: 'too_small' }>): string {
  if (issue.origin === 'string' || issue.origin === 'array') return 'must not be empty';
  return `must be at least ${String(issue.minimum)}`;
}

/** The last alternative is the interesting one: those before it are "off" and "empty". */
function unionReason(issue: Extract<Issue, { code: 'invalid_union' }>): string {
  const last = issue.errors.at(-1)?.[0];
  return last === undefined ? ownWords(issue) : reasonOf(last);
}

function ownWords({ message }: Issue): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}
