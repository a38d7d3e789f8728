import { describe, expect, it } from 'vitest';
import type { Message } from '../api/types';
import { contextOf, usageOf } from './usage';

const message = (role: Message['role'], input = 0, more: Partial<Message> = {}): Message => ({
  id: role, role, created_at: 1, ...(input ? { usage: { input, output: 2, reasoning: 3, cache_read: 4, cache_write: 5, cost: 0.5 } } : {}), ...more,
});

describe('what an answer took', () => {
  it('is the sum of its steps', () => {
    expect(usageOf([message('assistant', 10), message('assistant'), message('assistant', 20)])).toEqual({ tokens: 58, read: 30, written: 10, cached: 18, cost: 1 });
  });

  it('says what the model has before it', () => {
    expect(contextOf([message('assistant', 10), message('user'), message('assistant', 20, { model: 'p/m' }), message('user'), message('assistant')])).toEqual({ tokens: 34, model: 'p/m' });
    expect(contextOf([message('assistant', 10), message('system', 7)])).toBeNull();
    expect(contextOf([])).toBeNull();
  });
});
