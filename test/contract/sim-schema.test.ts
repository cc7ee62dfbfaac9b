/** The stand-in's option parser and checks against inputs and verdicts made by upstream's own code. */
import { describe, expect, it } from 'vitest';
import { checkParameters, readCall } from '../../packages/sim/src/schema/command.ts';
import { FieldError, type Parameters } from '../../packages/sim/src/schema/property.ts';
import { canonical } from '../../packages/sim/src/schema/property-string.ts';
import { toolSchema } from '../../packages/sim/src/schema/schema-data.ts';
import { parsePropertyString } from '../../packages/sim/src/schema/value.ts';
import { formatSize, parseSize } from '../../packages/sim/src/text/size.ts';
import { hasSharedData, vectors } from './shared-data.ts';

interface Verdict {
  ok: boolean;
  error?: string | { msg: string; errors?: Record<string, string> };
}
interface ArgvCase extends Verdict {
  argv: string[];
  method?: string;
  params?: Parameters;
  stderr?: string[];
}
interface ParamCase extends Verdict {
  params: Parameters;
}
interface StringCase extends Verdict {
  format: string;
  input: string;
  parsed?: Record<string, string | number>;
  canonical?: string;
}
interface Cases<T> {
  cases?: T[];
}

const asText = (params: Parameters | undefined): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(params ?? {}).map(([key, value]) => [key, typeof value === 'object' ? value : String(value)]),
  );

function fieldErrors(run: () => void): Record<string, string> | string | undefined {
  try {
    run();
    return undefined;
  } catch (err) {
    if (err instanceof FieldError)
      return Object.fromEntries(Object.entries(err.errors).map(([key, text]) => [key, text.replace(/\n+$/, '')]));
    return (err as Error).message.replace(/\n$/, '');
  }
}

const wanted = (verdict: Verdict): Record<string, string> | string | undefined => {
  if (verdict.ok || verdict.error === undefined) return undefined;
  if (typeof verdict.error === 'string') return verdict.error.replace(/\n$/, '');
  return verdict.error.errors ?? verdict.error.msg;
};

describe.skipIf(!hasSharedData)('argv', () => {
  const cases = vectors<Cases<ArgvCase>>('cli-argv').cases ?? [];
  it.each(cases.map((c) => [c.argv.join(' '), c] as const))('%s', (_, c) => {
    const [tool = '', ...argv] = c.argv;
    if (c.ok) {
      const call = readCall(tool, argv, { nodeName: 'pve1' });
      expect(call.method).toBe(c.method);
      expect(asText(call.params)).toEqual(asText(c.params));
      return;
    }
    const expected = [...(c.stderr ?? []), typeof c.error === 'string' ? c.error : ''].join('\n');
    expect(() => readCall(tool, argv, { nodeName: 'pve1' })).toThrow(expected);
  });
});

describe.skipIf(!hasSharedData)('parameters of create', () => {
  const cases = vectors<Cases<ParamCase>>('create-params').cases ?? [];
  const properties = toolSchema('pct')['create']?.params ?? {};
  it.each(cases.map((c) => [JSON.stringify(c.params).slice(0, 120), c] as const))('%s', (_, c) => {
    expect(fieldErrors(() => checkParameters({ node: 'pve1', ...c.params }, properties))).toEqual(wanted(c));
  });
});

describe.skipIf(!hasSharedData)('snapshot names', () => {
  const cases = vectors<Cases<ParamCase>>('snapshot-names').cases ?? [];
  const properties = toolSchema('pct')['snapshot']?.params ?? {};
  it.each(cases.map((c) => [JSON.stringify(c.params), c] as const))('%s', (_, c) => {
    expect(fieldErrors(() => checkParameters({ node: 'pve1', vmid: '100', ...c.params }, properties))).toEqual(
      wanted(c),
    );
  });
});

describe.skipIf(!hasSharedData)('property strings', () => {
  const cases = vectors<Cases<StringCase>>('property-strings').cases ?? [];
  it.each(cases.map((c) => [`${c.format} ${c.input}`, c] as const))('%s', (_, c) => {
    if (!c.ok) {
      expect(fieldErrors(() => void parsePropertyString(c.format, c.input))).toEqual(wanted(c));
      return;
    }
    expect(asText(parsePropertyString(c.format, c.input))).toEqual(asText(c.parsed));
    expect(canonical(c.format, c.input)).toBe(c.canonical);
  });
});

describe.skipIf(!hasSharedData)('sizes', () => {
  const sizes = vectors<{
    parse_size?: [string, number | null][];
    format_size?: [number, string | number][];
    resize?: ParamCase[];
  }>('sizes');
  it.each(sizes.parse_size ?? [])('%s is read', (text, bytes) => {
    expect(parseSize(text) ?? null).toBe(bytes);
  });
  it.each(sizes.format_size ?? [])('%s is printed', (bytes, text) => {
    expect(formatSize(bytes)).toBe(String(text));
  });
  it.each((sizes.resize ?? []).map((c) => [JSON.stringify(c.params), c] as const))('resize %s', (_, c) => {
    const properties = toolSchema('pct')['resize']?.params ?? {};
    expect(fieldErrors(() => checkParameters({ node: 'pve1', vmid: '100', ...c.params }, properties))).toEqual(
      wanted(c),
    );
  });
});
