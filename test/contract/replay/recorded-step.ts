/** Recorded steps of real tools, read from the contract data beside the checkout; nothing here knows the stand-in. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sharedPath } from '../shared-data.ts';

export interface ConfigChange {
  readonly before: string | null;
  readonly after: string | null;
}

export interface StoreFile {
  readonly type: string;
  readonly size?: number;
  readonly mode?: string;
}

export interface RecordedEffects {
  readonly config?: Readonly<Record<string, ConfigChange>>;
  readonly vmlist?: Readonly<Record<string, readonly [unknown, unknown]>>;
  readonly version?: Readonly<Record<string, readonly [number, number]>>;
  readonly tasks?: readonly { readonly upid: string; readonly type: string; readonly log: string }[];
  readonly active_added?: readonly string[];
  readonly index_added?: readonly string[];
  readonly store?: {
    readonly added?: Readonly<Record<string, StoreFile>>;
    readonly removed?: Readonly<Record<string, StoreFile>>;
    readonly changed?: Readonly<Record<string, readonly [StoreFile, StoreFile]>>;
  };
  readonly running?: readonly [readonly number[], readonly number[]];
  readonly clusterlog?: readonly { readonly tag: string; readonly user: string; readonly msg: string }[];
}

/** One line of `samples/recorded`. */
export interface RecordedStep {
  readonly id: string;
  readonly category: string;
  readonly title: string;
  readonly given: string;
  readonly host: string;
  readonly argv: readonly string[];
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly exit: number | null;
  readonly stdout: string | LongText;
  readonly stderr: string | LongText;
  readonly note?: unknown;
  readonly group?: string;
  readonly recorder_actions?: readonly (readonly [ms: number, text: string])[];
  readonly pre: {
    readonly vmlist_ids:
      | string
      | Readonly<Record<string, { readonly node: string; readonly type: string; readonly config?: string }>>;
    readonly running_here: readonly string[];
    /** null: the cluster file system is stopped. */
    readonly quorate: number | null;
    readonly configs: Readonly<Record<string, string>>;
    readonly store: Readonly<Record<string, StoreFile>>;
    readonly storage_cfg?: string;
  };
  readonly effects?: RecordedEffects;
}

/** Output too long to be kept whole. */
export interface LongText {
  readonly bytes: number;
  readonly sha256: string;
  readonly head: string;
  readonly tail: string;
}

/** One line of `samples/recorded-zfs`. */
export interface ZfsStep {
  readonly id: string;
  /** The file it stands in; its steps ran one after the other on one host. */
  readonly file: string;
  readonly category: string;
  readonly title: string;
  readonly given: string;
  readonly argv: readonly string[];
  readonly stdin?: string;
  readonly run_as_uid?: number;
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly effects: {
    readonly zfs_before?: readonly string[] | null;
    readonly zfs_after?: readonly string[] | null;
    readonly conf_before?: Readonly<Record<string, string | null>>;
    readonly conf_after?: Readonly<Record<string, string | null>>;
    readonly tasks?: readonly { readonly upid: string; readonly log: string }[];
  };
}

export const hasRecordings =
  existsSync(sharedPath('samples/recorded')) && existsSync(sharedPath('samples/recorded-zfs'));

function readSteps(folder: string): unknown[] {
  const path = sharedPath(`samples/${folder}`);
  const files = readdirSync(path).filter((name) => name.endsWith('.jsonl'));
  return files.sort().flatMap((name) =>
    readFileSync(join(path, name), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line): unknown => ({ file: name, ...(JSON.parse(line) as object) })),
  );
}

export function recordedSteps(): RecordedStep[] {
  return hasRecordings ? (readSteps('recorded') as RecordedStep[]) : [];
}

export function zfsSteps(): ZfsStep[] {
  return hasRecordings ? (readSteps('recorded-zfs') as ZfsStep[]) : [];
}
