import { describe, expect, it } from 'vitest';
import type { Frame, HostEvent, Message, MessageWithParts, RenderedPart, SessionState } from '../api/types';
import { Transcript } from './transcript.svelte';

const message = (id: string, created_at: number, more: Partial<Message> = {}): Message => ({ id, created_at, role: 'assistant', ...more });
const text = (id: string, of: string, words: string, revision = 1, more: Partial<RenderedPart> = {}): RenderedPart =>
  ({ id, message: of, revision, closed: false, content: { type: 'text', text: words }, ...more }) as RenderedPart;
const state = (messages: MessageWithParts[], more: Partial<SessionState> = {}): SessionState => ({
  session: 's', seq: 10, info: { id: 's', title: 'A chat', created_at: 1, updated_at: 2, workspace: '/w' }, messages, requests: [],
  turn: { state: 'running' }, ...more,
});
const event = (seq: number, one: HostEvent, more: Partial<Frame<'event'>> = {}): Frame<'event'> =>
  ({ type: 'event', session: 's', prev: seq - 1, seq, event: one, ...more });
const delta = (seq: number, part: string, revision: number, words: string) =>
  event(seq, { type: 'delta', message: 'm', part, revision, text: words });

describe('the state of a chat', () => {
  it('takes each event once, and asks again where one is missing', () => {
    const chat = new Transcript();
    expect(chat.event(delta(11, 'p', 2, 'x'))).toEqual({ from: null });
    chat.state(state([{ message: message('m', 1), parts: [text('p', 'm', 'a')] }]));
    expect(chat.event(delta(11, 'p', 2, 'b'))).toBeNull();
    expect(chat.event(delta(11, 'p', 2, 'b'))).toBeNull();
    expect(chat.part('p')?.text).toBe('ab');
    expect(chat.event(delta(13, 'p', 4, 'd'))).toEqual({ from: 11 });
    expect(chat.part('p')?.text).toBe('ab');
  });

  it('ignores what is older than the part', () => {
    const chat = new Transcript();
    chat.state(state([{ message: message('m', 1), parts: [text('p', 'm', 'new', 5)] }]));
    chat.event(delta(11, 'p', 5, 'twice'));
    chat.event(event(12, { type: 'part', part: text('p', 'm', 'old', 4) }));
    expect(chat.part('p')?.text).toBe('new');
  });

  it('draws a closed part by its HTML, which may come with the same revision', () => {
    const chat = new Transcript();
    chat.state(state([{ message: message('m', 1), parts: [text('p', 'm', '**a**', 3, { closed: true })] }]));
    chat.event(event(11, { type: 'part', part: text('p', 'm', '**a**', 3, { closed: true }) }, { html: '<p><strong>a</strong></p>' }));
    expect(chat.part('p')?.data.html).toBe('<p><strong>a</strong></p>');
    // It was taken for the end, and goes on after all.
    chat.event(delta(12, 'p', 4, ' b'));
    expect(chat.part('p')?.data.html).toBeUndefined();
    expect(chat.part('p')?.text).toBe('**a** b');
  });

  it('has the complete blocks of a text that grows, and the text behind them', () => {
    const chat = new Transcript();
    chat.state(state([{ message: message('m', 1), parts: [text('p', 'm', 'one')] }]));
    chat.event(delta(11, 'p', 2, '\n\ntwo'));
    chat.complete({ type: 'blocks', session: 's', part: 'p', html: '<p>one</p>', tail: 'two' });
    chat.event(delta(12, 'p', 3, ' more'));
    const part = chat.part('p');
    expect([part?.blocks, part?.tail, part?.text]).toEqual([['<p>one</p>'], 'two more', 'one\n\ntwo more']);
    chat.event(event(13, { type: 'part', part: text('p', 'm', 'whole', 4, { closed: true }) }, { html: '<p>whole</p>' }));
    expect([part?.blocks, part?.data.html]).toEqual([[], '<p>whole</p>']);
    chat.complete({ type: 'blocks', session: 's', part: 'p', html: '<p>late</p>', tail: '' });
    expect(part?.blocks).toEqual([]);
  });

  it('orders messages by their time, and what waits after all', () => {
    const chat = new Transcript();
    chat.state(state([
      { message: message('w', 2, { role: 'user', waiting: { type: 'turn' } }), parts: [] },
      { message: message('a', 1), parts: [] },
    ]));
    chat.event(event(11, { type: 'message', message: message('c', 3) }));
    expect(chat.messages.map(({ id }) => id)).toEqual(['a', 'c', 'w']);
    expect(chat.last?.id).toBe('c');
    chat.event(event(12, { type: 'message', message: message('w', 4, { role: 'user' }) }));
    expect(chat.messages.map(({ id }) => id)).toEqual(['a', 'c', 'w']);
    expect(chat.last?.id).toBe('w');
  });

  it('leaves what is older than what is shown to the older messages', () => {
    const chat = new Transcript();
    chat.state(state([{ message: message('b', 5), parts: [] }], { before: 'cursor' }));
    chat.event(event(11, { type: 'message', message: message('a', 1) }));
    expect(chat.messages.map(({ id }) => id)).toEqual(['b']);
    chat.older({ type: 'older', session: 's', messages: [{ message: message('a', 1), parts: [] }] });
    expect(chat.messages.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(chat.before).toBeNull();
  });

  it('says an error once: at its message, or else below all', () => {
    const chat = new Transcript();
    chat.state(state([{ message: message('m', 1), parts: [] }]));
    chat.event(event(11, { type: 'error', message: null, text: '401' }));
    expect(chat.error).toBe('401');
    chat.event(event(12, { type: 'message', message: message('n', 2, { error: '401' }) }));
    expect(chat.error).toBeNull();
    chat.event(event(13, { type: 'error', message: null, text: '401' }));
    expect(chat.error).toBeNull();
    chat.event(event(14, { type: 'error', message: 'm', text: 'broken' }));
    expect(chat.message('m')?.info.error).toBe('broken');
  });

  it('forgets a message with its parts', () => {
    const chat = new Transcript();
    chat.state(state([{ message: message('m', 1), parts: [text('p', 'm', 'a')] }]));
    chat.event(event(11, { type: 'message_removed', message: 'm' }));
    expect(chat.messages).toEqual([]);
    expect(chat.part('p')).toBeUndefined();
  });
});
