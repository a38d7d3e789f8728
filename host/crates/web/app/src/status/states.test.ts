import { describe, expect, it } from 'vitest';
import { isSettling, needs } from './states';
import { status, tunnel } from './samples';

const brief = (all: ReturnType<typeof needs>) => all.map(({ at, word }) => `${at}: ${word}`);

describe('what needs the owner', () => {
  it('is nothing where all works, or is about to', () => {
    expect(needs(status({ tunnels: [tunnel({ state: 'up', connections: 1 }), tunnel({ state: 'starting', progress: '' }), tunnel({ state: 'off' })] }))).toEqual([]);
  });

  it('is the worst first, each with the place of its fix', () => {
    const all = needs(status({
      pending: { state: 'invalid', cause: 'x', id: '1', seen_at: 0 },
      problems: [{ subject: 'metrics', cause: 'x', fix: null }],
      tunnels: [tunnel({ state: 'reconnecting', cause: 'x' }), tunnel({ state: 'failed', cause: 'x', fix: null }, { name: 'b' })],
    }));
    expect(brief(all)).toEqual(['problem-0: state.failed', 'tunnel-b: state.failed', 'tunnel-main: state.reconnecting', 'config: config.title']);
  });

  it('is told once of a tunnel and its plugin', () => {
    const plugin = { name: 'tunnel-ssh', kind: 'tunnel', version: '1', tunnel: 'main', restarts: 0, last_failure: null, state: 'failed', cause: 'x' } as const;
    expect(brief(needs(status({ tunnels: [tunnel({ state: 'failed', cause: 'x', fix: null })], plugins: [plugin] })))).toEqual(['tunnel-main: state.failed']);
    expect(brief(needs(status({ tunnels: [tunnel({ state: 'off' })], plugins: [plugin] })))).toEqual(['plugin-tunnel-ssh-main: state.failed']);
  });

  it('is an open tunnel that nobody reaches', () => {
    const check = { state: 'failed', cause: 'x', at: 0 } as const;
    expect(brief(needs(status({ tunnels: [tunnel({ state: 'up', connections: 1 }, { public_check: check })] })))).toEqual(['tunnel-main: state.degraded']);
  });
});

describe('what starts or stops', () => {
  it('is not yet well', () => {
    expect(isSettling(status())).toBe(false);
    expect(isSettling(status({ starting: 'chat-echo' }))).toBe(true);
    expect(isSettling(status({ tunnels: [tunnel({ state: 'stopping' })] }))).toBe(true);
    const swap = { plugin: 'b', since: 0 };
    expect(isSettling(status({ tunnels: [tunnel({ state: 'off' }, { swap: { ...swap, state: 'failed', cause: 'x', fix: null } })] }))).toBe(false);
    expect(isSettling(status({ tunnels: [tunnel({ state: 'off' }, { swap: { ...swap, state: 'opening', progress: 'x' } })] }))).toBe(true);
  });
});
