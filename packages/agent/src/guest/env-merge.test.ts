import { expect, it } from 'vitest';
import { applyEnv, type EnvList, mergeEnv, mergeValue } from './env-merge.ts';

it('applies wishes in place, removes, adds, and sets HOME only when nothing does', () => {
  const image: EnvList = [
    ['PATH', '/bin'],
    ['A', '1'],
    ['B', '2'],
  ];
  const wish = (name: string, value: string, remove = false) => ({ name, value, remove });
  expect(applyEnv(image, [wish('A', 'x=y'), wish('B', '', true), wish('C', '')], '/srv')).toEqual([
    ['PATH', '/bin'],
    ['A', 'x=y'],
    ['HOME', '/srv'],
    ['C', ''],
  ]);
  expect(applyEnv([['HOME', '/app']], [], '/srv')).toEqual([['HOME', '/app']]);
  expect(applyEnv(image, [wish('HOME', '/mine')], '/srv').at(-1)).toEqual(['HOME', '/mine']);
  expect(applyEnv([], [], undefined)).toEqual([]);
});

it('merges three ways: people win, defaults follow the new image', () => {
  const base: EnvList = [
    ['KEEP', '1'],
    ['CHANGED', '1'],
    ['GONE', '1'],
    ['DROPPED', '1'],
    ['DROPPED_BUT_CHANGED', '1'],
  ];
  const current: EnvList = [
    ['KEEP', '1'],
    ['CHANGED', 'mine'],
    ['DROPPED', '1'],
    ['DROPPED_BUT_CHANGED', 'mine'],
    ['ADDED', 'mine'],
  ];
  const next: EnvList = [
    ['KEEP', '2'],
    ['CHANGED', '2'],
    ['GONE', '2'],
    ['NEW', '2'],
    ['ADDED', '2'],
  ];
  expect(new Map(mergeEnv({ base, current, next }))).toEqual(
    new Map([
      ['KEEP', '2'],
      ['CHANGED', 'mine'],
      ['NEW', '2'],
      ['ADDED', 'mine'],
      ['DROPPED_BUT_CHANGED', 'mine'],
    ]),
  );
  expect([mergeValue('a', 'a', 'b'), mergeValue('a', 'x', 'b')]).toEqual(['b', 'x']);
});
