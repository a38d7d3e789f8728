// The list of what is to be done, as a tool was called with it.

import type { TodoItem, Tool } from '../api/types';
import { inputOf } from './calls';

const STATES = ['pending', 'in_progress', 'completed', 'cancelled'] as const;

/** Null: the input has no such list. */
export function todosOf(tool: Pick<Tool, 'input'>): TodoItem[] | null {
  const input = inputOf(tool);
  const list = input?.['todos'] ?? input?.['plan'] ?? input?.['entries'];
  if (!Array.isArray(list) || !list.length) return null;
  const items: TodoItem[] = [];
  for (const one of list as unknown[]) {
    const item = one as { content?: unknown; step?: unknown; status?: unknown } | null;
    const text = item?.content ?? item?.step;
    if (typeof text !== 'string') return null;
    items.push({ text, state: STATES.find((state) => state === item?.status) ?? 'pending' });
  }
  return items;
}
