// Which providers are shown, and in which order: those that are signed in first, then as the backend has them.

import type { Provider } from '../api/types';

export function listed(all: readonly Provider[], words: string, most: number): { shown: readonly Provider[]; more: number } {
  const wanted = words.trim().toLowerCase();
  const usable = all.filter(({ methods, signed_in }) => signed_in || methods.length);
  const found = wanted ? usable.filter(({ id, title }) => `${title} ${id}`.toLowerCase().includes(wanted)) : usable;
  const sorted = [...found.filter(({ signed_in }) => signed_in), ...found.filter(({ signed_in }) => !signed_in)];
  const count = Math.max(most, sorted.filter(({ signed_in }) => signed_in).length);
  return { shown: sorted.slice(0, count), more: Math.max(0, sorted.length - count) };
}
