// The list of chats, by when something happened in them last.

import type { ListedSession } from '../api/types';
import { startOfDay } from '../state/time';

export type Group = 'today' | 'yesterday' | 'week' | 'month' | 'older' | 'archived';
const DAY = 86_400_000;

export function groupOf({ archived, updated_at }: Pick<ListedSession, 'archived' | 'updated_at'>, now: number): Group {
  if (archived) return 'archived';
  const days = Math.round((startOfDay(now) - startOfDay(updated_at)) / DAY);
  return days <= 0 ? 'today' : days === 1 ? 'yesterday' : days < 7 ? 'week' : days < 30 ? 'month' : 'older';
}

const ORDER: readonly Group[] = ['today', 'yesterday', 'week', 'month', 'older', 'archived'];

/** Those whose title has all the words, in groups that are not empty. */
export function grouped(sessions: readonly ListedSession[], words: string, now: number): { group: Group; sessions: ListedSession[] }[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const found = sessions.filter(({ title }) => wanted.every((word) => title.toLowerCase().includes(word)));
  return ORDER.map((group) => ({ group, sessions: found.filter((session) => groupOf(session, now) === group) }))
    .filter(({ sessions: all }) => all.length > 0);
}
