/** A reading request, without its path. */
export interface Asked {
  readonly params: ReadonlyMap<string, string>;
  /** Lines that the method says beside its answer. */
  readonly warn: (line: string) => void;
  /** Not so for a token that nothing was granted to. */
  readonly hasRights: boolean;
}
