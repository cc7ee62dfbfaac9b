/** What a command gets: the controller, the clock, the streams, the way to show things. No command reads process.* itself. */
import type { Readable } from 'node:stream';
import type { Clock } from '@pxmgr/kit/clock';
import type { ShownOption } from '@pxmgr/kit/config/origin';
import type { Channel } from '@pxmgr/kit/rpc/channel';
import type { CliConfig } from './config.ts';
import type { Format } from './format.ts';

export interface Streams {
  /** Data for the caller; one text, line feeds included. */
  readonly out: (text: string) => void;
  /** Everything else. */
  readonly err: (text: string) => void;
  readonly outBytes: (bytes: Uint8Array) => Promise<void>;
  readonly errBytes: (bytes: Uint8Array) => Promise<void>;
  readonly stdin: Readable;
  readonly outIsTty: boolean;
  readonly errIsTty: boolean;
  readonly stdinIsTty: boolean;
  /** Cells, undefined when the stream is no terminal. */
  readonly outWidth: number | undefined;
  readonly errWidth: number | undefined;
}

export interface Context {
  readonly clock: Clock;
  readonly streams: Streams;
  readonly format: Format;
  readonly look: Look;
  readonly quiet: boolean;
  readonly config: CliConfig;
  /** Where each config value came from, and the file that was read. */
  readonly configModel: ConfigModel;
  /** Channel to the controller: made at the first call, closed by main. */
  readonly connect: () => Channel;
  /** Aborted by Ctrl-C or SIGTERM. */
  readonly interrupted: AbortSignal;
  /** Ask on the terminal; undefined when there is none. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
}

/** How text may look on this terminal. */
export interface Look {
  readonly color: boolean;
  /** ASCII only, no live lines. */
  readonly plain: boolean;
}

export interface ConfigModel {
  /** The file that was read, or would be. */
  readonly file: string;
  readonly options: readonly ShownOption[];
}
