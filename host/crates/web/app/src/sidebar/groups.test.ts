import { describe, expect, it } from 'vitest';
import type { ListedSession } from '../api/types';
import { grouped, groupOf } from './groups';

const now = new Date(2026, 5, 15, 12).getTime();
const at = (month: number, day: number, hour = 12) => new Date(2026, month, day, hour).getTime();
const chat = (id: string, title: string, updated_at: number, archived = false): ListedSession =>
  ({ id, title, updated_at, created_at: 0, archived, workspace: '/w', backend: 'chat-echo' });

describe('the list of chats', () => {
  it('is in groups by days, not by hours', () => {
    expect(groupOf({ updated_at: at(5, 15, 0) }, now)).toBe('today');
    expect(groupOf({ updated_at: at(5, 14, 23) }, now)).toBe('yesterday');
    expect(groupOf({ updated_at: at(5, 10) }, now)).toBe('week');
    expect(groupOf({ updated_at: at(4, 25) }, now)).toBe('month');
    expect(groupOf({ updated_at: at(1, 1) }, now)).toBe('older');
    expect(groupOf({ updated_at: now + 1000 }, now)).toBe('today');
    expect(groupOf({ updated_at: now, archived: true }, now)).toBe('archived');
  });

  it('has the chats with all the words, and no empty group', () => {
    const all = [chat('a', 'Fix the Parser', now), chat('b', 'Parse dates', at(1, 1)), chat('c', 'Other', now)];
    expect(grouped(all, 'pars', now).map(({ group, sessions }) => [group, sessions.map(({ id }) => id)])).toEqual([['today', ['a']], ['older', ['b']]]);
    expect(grouped(all, 'parser  FIX', now)).toHaveLength(1);
    expect(grouped(all, 'nothing', now)).toEqual([]);
  });
});
