/**
 * The HTTP API with a token, as a function: what the API daemons answer to a request (pve-http-server
 * src/PVE/APIServer/AnyEvent.pm, pve-manager PVE/HTTPServer.pm). No server listens here.
 */

import { errorText, ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { CallError } from '../schema/command.ts';
import { FieldError, type Parameters } from '../schema/property.ts';
import { answerOf } from './answers.ts';
import { callMethod, findMethod, type HttpVerb } from './methods.ts';
import { checkTokenRights, refuseWithoutRights } from './token-rights.ts';

export interface RestRequest {
  readonly method: string;
  /** Below /api2/json, with the query. */
  readonly path: string;
  readonly body?: string;
  readonly isJson?: boolean;
  /** undefined: none, or one whose secret is wrong. */
  readonly token?: { readonly user: string; readonly hasRights: boolean };
  /** Nothing at all says who asks. */
  readonly isAnonymous?: boolean;
}

export interface RestAnswer {
  readonly status: number;
  readonly reason: string;
  readonly body?: Readonly<Record<string, unknown>>;
}

const VERBS = new Set(['GET', 'POST', 'PUT', 'DELETE']);

export async function restAnswer(host: Host, request: RestRequest, io: ToolIo): Promise<RestAnswer> {
  if (request.isAnonymous === true) return { status: 401, reason: 'No ticket' };
  if (request.token === undefined) return { status: 401, reason: 'Authentication failed!' };
  if (!VERBS.has(request.method)) return { status: 501, reason: `method '${request.method}' not available` };
  const [path = '', query = ''] = request.path.split('?');
  const node = /^\/?nodes\/([^/]+)/.exec(path)?.[1];
  if (node !== undefined && node !== host.name) return { status: 595, reason: 'Connection refused' };
  try {
    const params = {
      ...formOf(query),
      ...(request.isJson === true ? jsonOf(request.body) : formOf(request.body ?? '')),
    };
    return { status: 200, reason: 'OK', body: { data: await dataOf(host, request, { path, params, io }) } };
  } catch (err) {
    return failureOf(err);
  }
}

interface Asked {
  readonly path: string;
  readonly params: Parameters;
  readonly io: ToolIo;
}

async function dataOf(host: Host, request: RestRequest, { path, params, io }: Asked): Promise<unknown> {
  const { user, hasRights } = request.token ?? { user: '', hasRights: false };
  const method = findMethod(request.method as HttpVerb, path);
  if (!hasRights) refuseWithoutRights(path, method?.command);
  if (method === undefined) {
    const asked = { params: textOf(params), warn: () => undefined, hasRights };
    const answer = request.method === 'GET' ? await answerOf(host, path, asked) : undefined;
    if (answer === undefined) throw new ToolError(`501 Method '${request.method} ${path}' not implemented\n`);
    return answer;
  }
  const daemon: ToolIo = { ...io, out: () => undefined, err: () => undefined, daemonUser: user };
  const caller = { tool: 'pvedaemon', io: daemon, usage: '', checkRights: checkTokenRights };
  return (await callMethod(host, method, { params, caller })) ?? null;
}

function textOf(params: Parameters): ReadonlyMap<string, string> {
  return new Map(Object.entries(params).map(([key, value]) => [key, String(value)]));
}

/** `&` and `;` divide; a pair is cut at its first `=`, and a further one cuts its value off. */
function formOf(text: string): Parameters {
  const found: Parameters = {};
  for (const part of text.split(/[&;]/)) {
    if (part === '') continue;
    const [key = '', value = ''] = part.split('=');
    found[unescaped(key)] = unescaped(value);
  }
  return found;
}

function unescaped(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}

function jsonOf(text: string | undefined): Parameters {
  const value: unknown = JSON.parse(text ?? '{}');
  return Object.fromEntries(
    Object.entries(value ?? {}).map(([key, inner]) => [key, typeof inner === 'number' ? inner : String(inner)]),
  );
}

function failureOf(err: unknown): RestAnswer {
  if (err instanceof FieldError) return parameterFailure(err.errors);
  if (err instanceof CallError) return parameterFailure(fieldsOf(err.message));
  const text = errorText(err);
  const [, code, reason] = /^([1-5]\d\d) (.*)$/s.exec(text) ?? [];
  const message = reason ?? text;
  return { status: Number(code ?? 500), reason: message, body: { data: null, message: `${message}\n` } };
}

function parameterFailure(errors: Readonly<Record<string, string>>): RestAnswer {
  const reason = 'Parameter verification failed.';
  return { status: 400, reason, body: { data: null, errors, message: `${reason}\n` } };
}

/** Lines `field: reason` after the first one. */
function fieldsOf(message: string): Record<string, string> {
  const rows = message
    .split('\n')
    .slice(1)
    .map((line) => /^([\w-]+): (.*)$/.exec(line));
  return Object.fromEntries(rows.filter((row) => row !== null).map((row) => [row[1] ?? '', row[2] ?? '']));
}
