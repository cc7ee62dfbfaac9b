/** What a command hands back: data with enough description to be shown in every output format. */

export interface Column<Row> {
  readonly head: string;
  readonly value: (row: Row) => string;
  readonly align?: 'left' | 'right';
  /** Shown only with -o wide. */
  readonly wide?: boolean;
  /** The first column to give way on a narrow terminal is the one with the highest number. */
  readonly shrink?: number;
}

export interface ListResult<Row = unknown> {
  readonly kind: 'list';
  /** "Container" becomes ContainerList in JSON. */
  readonly noun: string;
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
  readonly name: (row: Row) => string;
  readonly json: (row: Row) => unknown;
  /** Said on stderr when there are no rows. */
  readonly empty: string;
  readonly notes?: readonly string[];
}

export interface DetailResult {
  readonly kind: 'detail';
  readonly noun: string;
  readonly name: string;
  /** Text for people, ready lines. */
  readonly lines: readonly string[];
  readonly json: unknown;
  /** Exit code other than 0 although the data is complete. */
  readonly exit?: number;
}

/** Text as it is, in every format: a completion script, a token, an example file. */
export interface TextResult {
  readonly kind: 'text';
  readonly text: string;
}

/** Everything was written while it ran (exec, watch). */
export interface StreamedResult {
  readonly kind: 'streamed';
  readonly exit: number;
}

export type Result = ListResult | DetailResult | TextResult | StreamedResult;

/** A typed list as a Result: the row type is known to the command only. */
export function list<Row>(result: Omit<ListResult<Row>, 'kind'>): Result {
  return { kind: 'list', ...result } as unknown as ListResult;
}

export function detail(result: Omit<DetailResult, 'kind'>): Result {
  return { kind: 'detail', ...result };
}

export function text(body: string): Result {
  return { kind: 'text', text: body };
}
