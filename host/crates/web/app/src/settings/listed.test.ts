import { describe, expect, it } from 'vitest';
import type { Provider } from '../api/types';
import { listed } from './listed';

const method = { id: 'key', kind: 'key', title: 'API key', fields: [] } as const;
const provider = (id: string, more: Partial<Provider> = {}): Provider => ({ id, title: id.toUpperCase(), signed_in: false, removable: false, methods: [method], ...more });
const ids = (all: readonly Provider[]) => all.map(({ id }) => id);

describe('the providers', () => {
  const all = [provider('a'), provider('b', { signed_in: true }), provider('c'), provider('d', { methods: [] }), provider('e', { signed_in: true, methods: [] })];

  it('that are signed in come first; one that cannot be used in any way is left out', () => {
    expect(ids(listed(all, '', 10).shown)).toEqual(['b', 'e', 'a', 'c']);
  });

  it('are a few at first, and never fewer than those that are signed in', () => {
    const { shown, more } = listed(all, '', 1);
    expect([ids(shown), more]).toEqual([['b', 'e'], 2]);
  });

  it('are found by their name or id', () => {
    expect(ids(listed(all, ' C', 10).shown)).toEqual(['c']);
    expect(listed(all, 'nothing', 10)).toEqual({ shown: [], more: 0 });
  });
});
