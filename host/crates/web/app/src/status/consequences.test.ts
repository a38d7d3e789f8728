import { describe, expect, it } from 'vitest';
import type { ListedSession } from '../api/types';
import { backendCuts, isThrough, stopCuts, swapCuts, type Watcher } from './consequences';
import { status, tunnel } from './samples';

const session = (id: string, backend = 'chat-opencode') => ({ id, backend }) as ListedSession;
const watcher = (more: Partial<Watcher> = {}): Watcher => ({ origin: 'http://127.0.0.1:7700', sessions: [], more: 0, waits: null, ...more });
const up = { state: 'up', connections: 4 };

describe('what the backend cuts', () => {
  it('says how many answers run', () => {
    expect(backendCuts({ type: 'stop' }, status({ running_turns: 2 }), watcher())).toEqual([
      expect.stringMatching(/^2 chats have a running answer\. Nexus waits up to 30 s for them;/),
      'Chats can be read, but not continued, until the backend is started again.',
    ]);
    expect(backendCuts({ type: 'restart' }, status(), watcher())[0]).toBe('No answer is running.');
  });

  it('says whom a request of the agent waits for', () => {
    expect(backendCuts({ type: 'stop' }, status(), watcher({ waits: 'Trees' })).join()).toContain('In “Trees” the agent waits for your answer');
  });

  it('counts the chats that become read-only, and names an example', () => {
    const sessions = [session('a'), session('b'), session('c', 'chat-echo')];
    const cuts = backendCuts({ type: 'swap', plugin: 'chat-echo' }, status(), watcher({ sessions }));
    expect(cuts).toContain('2 chats of chat-opencode become read-only until chat-opencode is the chat backend again.');
    expect(cuts).toContain('chat-echo is an example without a model.');
    expect(backendCuts({ type: 'swap', plugin: 'chat-other' }, status(), watcher())).toEqual(['No answer is running.']);
  });
});

describe('what a tunnel cuts', () => {
  it('knows whether this page came through it, by its own address alone', () => {
    expect(isThrough(tunnel(up), 'https://a.example')).toBe(true);
    expect(isThrough(tunnel(up), 'https://a.example:444')).toBe(false);
    expect(isThrough(tunnel(up, { addresses: [{ url: 'https://b.example', private: true }] }), 'https://b.example')).toBe(true);
    expect(isThrough(tunnel(up, { url: null, addresses: [] }), 'null')).toBe(false);
    expect(isThrough(tunnel(up, { url: 'no address', addresses: [] }), 'null')).toBe(false);
  });

  it('stopped: everyone, and you', () => {
    expect(stopCuts(tunnel(up), watcher())).toEqual(['Everyone connected through https://a.example loses the connection.']);
    expect(stopCuts(tunnel(up), watcher({ origin: 'https://a.example' })).at(-1)).toContain('`nexus tunnel start main`');
    expect(stopCuts(tunnel({ state: 'starting', progress: '' }), watcher())).toEqual(['What is opening is canceled.']);
  });

  it('replaced: nobody before the new one is open, unless its port is fixed', () => {
    expect(swapCuts(tunnel(up), watcher())[0]).toContain('opens first');
    expect(swapCuts(tunnel(up), watcher({ origin: 'https://a.example' })).at(-1)).toContain('log in again');
    const fixed = swapCuts(tunnel(up, { fixed_listen: true }), watcher({ origin: 'https://a.example' }));
    expect(fixed[1]).toContain('Everyone connected');
    expect(fixed.at(-1)).toContain('That includes you');
    expect(swapCuts(tunnel({ state: 'off' }), watcher())).toEqual(['The tunnel is closed, so nobody is connected through it.']);
  });
});
