/** What a supervised nats-server needs to know. Paths are absolute, JWTs are public statements, not secrets. */
export interface ServerSettings {
  /** 0 in `port` lets the server choose. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly pidFile: string;
  readonly storeDir: string;
  readonly resolverDir: string;
  readonly tls: { readonly certFile: string; readonly keyFile: string; readonly caFile: string };
  readonly operatorJwt: string;
  readonly systemAccount: string;
  /** Public key of each account -> its JWT. */
  readonly accounts: Readonly<Record<string, string>>;
  readonly maxMemoryBytes: number;
  readonly maxFileBytes: number;
}

/** The configuration file; only features of nats-server 2.9 (Debian 12). */
export function renderServerConfig(settings: ServerSettings): string {
  const { listen, tls } = settings;
  return `# Written by pxmgr-controller at each start; edits are lost.
server_name: pxmgr
host: ${quote(listen.host)}
port: ${String(listen.port === 0 ? -1 : listen.port)}
pid_file: ${quote(settings.pidFile)}
# A node that lost its network is noticed in 20 s instead of 4 minutes.
ping_interval: "10s"
ping_max: 2
write_deadline: "10s"
tls {
  cert_file: ${quote(tls.certFile)}
  key_file: ${quote(tls.keyFile)}
  ca_file: ${quote(tls.caFile)}
  # It runs from the greeting on: over a line of a second each way four are gone before the handshake ends.
  timeout: 15
}
jetstream {
  store_dir: ${quote(settings.storeDir)}
  max_memory_store: ${String(settings.maxMemoryBytes)}
  max_file_store: ${String(settings.maxFileBytes)}
}
operator: ${settings.operatorJwt}
system_account: ${settings.systemAccount}
resolver {
  type: full
  dir: ${quote(settings.resolverDir)}
  allow_delete: false
  interval: "2m"
}
resolver_preload {
${Object.entries(settings.accounts)
  .map(([key, jwt]) => `  ${key}: ${jwt}\n`)
  .join('')}}
`;
}

/** Paths and hosts only; a quote or backslash in them would end the string. */
function quote(text: string): string {
  if (/["\\\n\r]/.test(text)) throw new Error('a path for nats-server must not hold quotes, backslashes or line ends');
  return `"${text}"`;
}
