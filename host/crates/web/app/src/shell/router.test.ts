import { describe, expect, it } from 'vitest';
import { followed, viewOf } from './router';

const at = (address: string, base = '') => viewOf(new URL(address, 'https://nexus.example'), base);

describe('the view of an address', () => {
  it('is known for the paths of the app', () => {
    expect(at('/')).toEqual({ name: 'chat', session: null });
    expect(at('/s/ses%2F1')).toEqual({ name: 'chat', session: 'ses/1' });
    expect(at('/status')).toEqual({ name: 'status' });
    expect(at('/settings?x=1')).toEqual({ name: 'settings' });
    expect(at('/log')).toEqual({ name: 'log', plugin: null, tunnel: null });
    expect(at('/log?tunnel=main&plugin=tunnel-ssh')).toEqual({ name: 'log', plugin: 'tunnel-ssh', tunnel: 'main' });
  });

  it('is none for a page of the host, and for nonsense', () => {
    for (const path of ['/account', '/login', '/logout', '/status/', '/s/', '/s/a/b', '/s/%E0%A4%A', '/api/v1/status', '/nexus']) {
      expect(at(path), path).toBeNull();
    }
  });

  it('is below the base path', () => {
    expect(at('/nexus/status', '/nexus')).toEqual({ name: 'status' });
    expect(at('/nexus/', '/nexus')).toEqual({ name: 'chat', session: null });
    expect(at('/status', '/nexus')).toBeNull();
    expect(at('/nexusless/status', '/nexus')).toBeNull();
  });
});

describe('a press on a link', () => {
  const plain = { defaultPrevented: false, button: 0, metaKey: false, ctrlKey: false, shiftKey: false, altKey: false };
  const link = (href: string, more: Record<string, string> = {}) => Object.assign(document.createElement('a'), { href, ...more });
  const follow = (a: HTMLAnchorElement, press = plain) => followed(press, a, '', 'https://nexus.example/status');

  it('leads to a view', () => {
    expect(follow(link('https://nexus.example/log?plugin=a'))).toBe('/log?plugin=a');
  });

  it('is left to the browser where it leads elsewhere or means another tab', () => {
    expect(follow(link('https://other.example/log'))).toBeNull();
    expect(follow(link('https://nexus.example/account'))).toBeNull();
    expect(follow(link('https://nexus.example/log', { target: '_blank' }))).toBeNull();
    expect(follow(link('https://nexus.example/log', { download: 'log' }))).toBeNull();
    expect(follow(link('https://nexus.example/status#main'))).toBeNull();
    for (const key of ['metaKey', 'ctrlKey', 'shiftKey', 'altKey', 'defaultPrevented']) {
      expect(follow(link('https://nexus.example/log'), { ...plain, [key]: true }), key).toBeNull();
    }
  });
});
