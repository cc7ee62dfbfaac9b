import type { Table } from './field.ts';
import { snakeCase } from './field.ts';

/** Where a value came from; `where` is for people: "agent.yaml:12", "PXMGR_AGENT_LISTEN", "--listen". */
export interface Origin {
  readonly kind: 'default' | 'file' | 'env' | 'flag' | 'credential';
  readonly where: string;
}

export interface ShownOption {
  readonly key: string;
  /** As it would stand in the file; of a secret only its length. */
  readonly value: string;
  readonly origin: Origin;
  readonly isSecret: boolean;
  readonly mayReload: boolean;
}

/** The model of `config show`. */
export function showConfig(
  table: Table,
  loaded: {
    values: Readonly<Record<string, unknown>>;
    origins: Readonly<Record<string, Origin>>;
    written?: Readonly<Record<string, unknown>>;
  },
): ShownOption[] {
  return Object.entries(table).map(([key, option]) => {
    const value = loaded.values[key];
    return {
      key: snakeCase(key),
      value: option.secret === true ? secretText(value) : valueText(loaded.written?.[key] ?? value),
      origin: loaded.origins[key] ?? { kind: 'default', where: 'default' },
      isSecret: option.secret === true,
      mayReload: option.reload === true,
    };
  });
}

function secretText(value: unknown): string {
  return typeof value === 'string' && value !== '' ? `(set, ${String(value.length)} characters)` : '(not set)';
}

function valueText(value: unknown): string {
  if (value === undefined) return '(not set)';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
