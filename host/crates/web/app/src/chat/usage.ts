// What answers took.

import type { Message } from '../api/types';

export interface UsageSum {
  /** All of them. */
  tokens: number;
  read: number;
  written: number;
  /** Read from the provider's cache, and written to it. */
  cached: number;
  /** In US dollars. */
  cost: number;
}

export function usageOf(messages: readonly Message[]): UsageSum {
  const sum: UsageSum = { tokens: 0, read: 0, written: 0, cached: 0, cost: 0 };
  for (const { usage } of messages) {
    if (!usage) continue;
    sum.read += usage.input;
    sum.written += usage.output + usage.reasoning;
    sum.cached += usage.cache_read + usage.cache_write;
    sum.cost += usage.cost ?? 0;
  }
  sum.tokens = sum.read + sum.written + sum.cached;
  return sum;
}

/** What the model has before it after its last answer, and which model that is. Null: it is not known, as after a summary. */
export function contextOf(messages: readonly Message[]): { tokens: number; model: string | undefined } | null {
  for (let n = messages.length - 1; n >= 0; n--) {
    const message = messages[n];
    if (message?.role === 'system') return null;
    if (message?.role !== 'assistant' || !message.usage) continue;
    return { tokens: usageOf([message]).tokens, model: message.model };
  }
  return null;
}
