import { describe, expect, it } from 'vitest';
import { formatUpid, parseTaskLogEnd, parseTaskStatus, parseUpid, taskLogPath } from './upid.ts';

/** Fields and text agree with proxmox/pve-common src/PVE/UPID.pm. */
const CREATE = 'UPID:pve1:0001A2B3:004C5D6E:691ED890:vzcreate:105:root@pam:';

describe('task ids', () => {
  it('are parsed into their fields', () => {
    expect(parseUpid(CREATE)).toEqual({
      node: 'pve1',
      pid: 107_187,
      pstart: 5_004_654,
      startTime: 1_763_629_200,
      type: 'vzcreate',
      id: '105',
      user: 'root@pam',
    });
  });

  it.each([
    CREATE,
    'UPID:pve-2:00001267:00000063:691ED891:ociregistrypull:alpine_latest.tar:svc@pve!agent:',
    'UPID:pve1:0001A2B3:104C5D6E9:691ED890:aptupdate::root@pam:',
  ])('print as they were: %s', (text) => {
    const upid = parseUpid(text);
    expect(upid === undefined ? '' : formatUpid(upid)).toBe(text);
  });

  it.each([
    '',
    'UPID:pve1:1:2:3:x:y:z:',
    CREATE.slice(0, -1),
    `${CREATE}x`,
    CREATE.replace('vzcreate', 'vz/create'),
    CREATE.replace('pve1', '-pve'),
  ])('refuse %j', (text) => {
    expect(parseUpid(text)).toBeUndefined();
  });

  it('name their log by the last hexadecimal digit of the start time', () => {
    const upid = parseUpid(CREATE);
    expect(upid === undefined ? '' : taskLogPath(upid)).toBe(`/var/log/pve/tasks/0/${CREATE}`);
  });
});

describe('task verdicts', () => {
  it.each([
    ['OK', { kind: 'ok' }],
    ['WARNINGS: 2', { kind: 'warnings', count: 2 }],
    ['unable to create CT 105 - disk full', { kind: 'error', text: 'unable to create CT 105 - disk full' }],
  ])('of status %j', (status, verdict) => {
    expect(parseTaskStatus(status)).toEqual(verdict);
  });

  it.each([
    ['TASK OK', { kind: 'ok' }],
    ['TASK WARNINGS: 1\n', { kind: 'warnings', count: 1 }],
    ['TASK ERROR: command failed', { kind: 'error', text: 'command failed' }],
    ['extracting archive', undefined],
  ])('of last line %j', (line, verdict) => {
    expect(parseTaskLogEnd(line)).toEqual(verdict);
  });
});
