import { describe, expect, it } from 'vitest';
import type { Message, RenderedPart } from '../api/types';
import { Layout } from './layout';
import { MessageState, PartState } from './transcript.svelte';

const KINDS: Record<string, unknown> = {
  q: { type: 'tool', name: 'read', state: 'completed', input: '{}' }, t: { type: 'text', text: 'words' },
  b: { type: 'tool', name: 'bash', state: 'completed', input: '{}' }, '-': { type: 'other', name: 'x', value: {} }, n: { type: 'compacted' },
};
/** A message whose parts are named by one letter each. */
const message = (id: string, kinds: string, more: Partial<Message> = {}): MessageState => {
  const state = new MessageState({ id, role: 'assistant', created_at: 1, ...more });
  state.parts = [...kinds].map((kind, n) => new PartState({ id: `${id}${n}`, message: id, revision: 1, closed: true, content: KINDS[kind] } as RenderedPart));
  return state;
};
const views = (...all: MessageState[]) => all.map((one) => ({ message: one, parts: one.parts, form: one.form }));
const plan = (all: MessageState[], busy = false, layout = new Layout()) => {
  const plans = layout.of(views(...all), busy);
  return all.map(({ id }) => {
    const { items, hidden, continues, answer } = plans.get(id) ?? {};
    const what = items?.map((item) => (item.type === 'fold' ? `[${item.parts.map((part) => part.id).join(' ')}]` : item.part.id)).join(' ');
    return `${id}: ${hidden ? 'hidden' : what}${continues ? ' +' : ''}${answer?.length ? ` =${answer.length}` : ''}`;
  });
};

describe('the layout of a chat', () => {
  it('folds what only looked, over the steps of an answer', () => {
    expect(plan([message('u', 't', { role: 'user' }), message('a', 'q'), message('b', '-q'), message('c', 'tq'), message('d', 'b')]))
      .toEqual(['u: u0 =1', 'a: [a0 b1]', 'b: hidden', 'c: c0 c1 +', 'd: d0 + =4']);
  });

  it('folds nothing over a message of the user, or one that something happened to', () => {
    expect(plan([message('a', 'q'), message('u', 't', { role: 'user' }), message('b', 'q'), message('c', 'q', { error: 'bad' }), message('d', 'q')]))
      .toEqual(['a: a0 =1', 'u: u0 =1', 'b: b0', 'c: c0 +', 'd: d0 + =3']);
  });

  it('ends no answer that goes on', () => {
    expect(plan([message('a', 't'), message('b', '')], true)).toEqual(['a: a0', 'b:  +']);
    expect(plan([message('a', 't'), message('b', '')])).toEqual(['a: a0', 'b:  + =2']);
    const queued = message('w', 't', { role: 'user', waiting: { type: 'turn' } });
    expect(plan([message('a', 't'), queued], true)).toEqual(['a: a0', 'w: w0 =1']);
  });

  it('leaves a note alone, and hides what nothing is seen of', () => {
    expect(plan([message('a', 't'), message('n', 'n', { role: 'user' }), message('s', '', { role: 'system' }), message('o', '-')]))
      .toEqual(['a: a0 =1', 'n: n0 =1', 's: hidden', 'o: hidden']);
    expect(plan([message('a', 't'), message('n', 'n', { role: 'system' }), message('b', 't')])).toEqual(['a: a0 =1', 'n: n0 =1', 'b: b0 =1']);
  });

  it('keeps the plans of what did not change', () => {
    const layout = new Layout();
    const [u, a, b] = [message('u', 't', { role: 'user' }), message('a', 't'), message('b', 't')];
    const first = layout.of(views(u, a), true);
    const then = layout.of(views(u, a, b), true);
    expect(then.get('u')).toBe(first.get('u'));
    expect(then.get('a')).toBe(first.get('a'));
  });
});
