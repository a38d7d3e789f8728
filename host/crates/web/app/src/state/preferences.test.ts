import { beforeEach, describe, expect, it, vi } from 'vitest';

beforeEach(() => {
  vi.resetModules();
  localStorage.clear();
  delete document.documentElement.dataset['theme'];
});

const fresh = async () => (await import('./preferences.svelte')).preferences;

describe('preferences', () => {
  it('are kept, applied, and forgotten where they are what they were', async () => {
    let preferences = await fresh();
    preferences.set('theme', 'dark');
    expect(document.documentElement.dataset['theme']).toBe('dark');
    vi.resetModules();
    preferences = await fresh();
    expect(preferences.get('theme')).toBe('dark');
    preferences.set('theme', 'system');
    expect(document.documentElement.dataset['theme']).toBeUndefined();
    expect(localStorage.length).toBe(0);
  });

  it('do not take what is no choice', async () => {
    localStorage.setItem('nexus:theme', 'pink');
    expect((await fresh()).get('theme')).toBe('system');
  });

  it('say what Enter does', async () => {
    const preferences = await fresh();
    expect([preferences.enterSends(false), preferences.enterSends(true)]).toEqual([true, false]);
    preferences.set('enter', 'send');
    expect(preferences.enterSends(true)).toBe(true);
    preferences.set('enter', 'newline');
    expect(preferences.enterSends(false)).toBe(false);
  });
});
