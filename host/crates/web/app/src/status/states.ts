// How each part is: a word for its state, and how bad it is. The word is always there, so that no colour has to be seen.

import type { Backend, PluginStatus, Severity, Status, TunnelStatus } from '../api/types';
import type { Texts } from '../i18n/en';

type Word = Extract<keyof Texts, `state.${string}`>;

export interface State {
  severity: Severity;
  word: Word;
}

const state = (severity: Severity, word: Word): State => ({ severity, word });

export function stateOfBackend(backend: Backend): State {
  switch (backend.state) {
    case 'up': return state('ok', 'state.running');
    case 'stopped': return state('inactive', 'state.stopped');
    case 'starting': return state('warning', 'state.starting');
    case 'reconnecting': return state('warning', 'state.reconnecting');
    case 'failed': return state('error', backend.cause.includes('is not installed') ? 'state.missing' : 'state.notRunning');
  }
}

export function stateOfTunnel(tunnel: TunnelStatus): State {
  switch (tunnel.state) {
    case 'off': return state('inactive', 'state.off');
    case 'waiting_for_account': return state('inactive', 'state.waiting_for_account');
    case 'starting': return state('warning', 'state.opening');
    case 'login_needed': return state('warning', 'state.login_needed');
    case 'up': return state('ok', 'state.up');
    case 'degraded': return state('warning', 'state.degraded');
    case 'reconnecting': return state('warning', 'state.reconnecting');
    case 'waiting': return state('warning', 'state.waiting');
    case 'failed': return state('error', 'state.failed');
    case 'stopping': return state('warning', 'state.stopping');
  }
}

export function stateOfPlugin(plugin: PluginStatus): State {
  switch (plugin.state) {
    case 'running': return state('ok', 'state.running');
    case 'stopped': return state('inactive', 'state.stopped');
    case 'starting': return state('warning', 'state.starting');
    case 'restarting': return state('warning', 'state.restarting');
    case 'failed': return state('error', 'state.failed');
  }
}

export const idOfTunnel = (name: string): string => `tunnel-${name}`;
export const idOfPlugin = (name: string, tunnel: string | null): string => `plugin-${name}${tunnel === null ? '' : `-${tunnel}`}`;

/** A part that needs the owner, and where on the page the fix is. */
export interface Need {
  /** The id of the element. */
  at: string;
  /** The name of the part. Empty: the chat backend, the configuration, as `at` says. */
  name: string;
  word: Word | 'config.title';
  severity: 'warning' | 'error';
}

/** What needs the owner, the worst first. What only takes a moment, as a start, does not. */
export function needs(status: Status): Need[] {
  const all: Need[] = status.problems.map(({ subject }, n) => ({ at: `problem-${n}`, name: subject, word: 'state.failed', severity: 'error' }));
  const { backend } = status;
  const how = stateOfBackend(backend);
  if (backend.state === 'failed' || backend.state === 'reconnecting') all.push({ at: 'backend', name: backend.title, word: how.word, severity: backend.state === 'failed' ? 'error' : 'warning' });
  else if (backend.missing) all.push({ at: 'backend', name: backend.missing.title, word: 'state.missing', severity: 'warning' });
  if (backend.storage_error) all.push({ at: 'backend', name: backend.title, word: 'state.failed', severity: 'error' });
  for (const tunnel of status.tunnels) {
    const { severity, word } = stateOfTunnel(tunnel);
    const checked = tunnel.public_check?.state === 'failed' && tunnel.state === 'up';
    const lasting = ['login_needed', 'degraded', 'reconnecting', 'waiting', 'failed'].includes(tunnel.state);
    if (lasting || checked) all.push({ at: idOfTunnel(tunnel.name), name: tunnel.name, word: checked ? 'state.degraded' : word, severity: severity === 'error' ? 'error' : 'warning' });
  }
  for (const plugin of status.plugins) {
    const { severity, word } = stateOfPlugin(plugin);
    // A tunnel that is listed says it, with the fix.
    if (plugin.tunnel !== null && all.some(({ at }) => at === idOfTunnel(plugin.tunnel ?? ''))) continue;
    if (plugin.state === 'failed' || plugin.state === 'restarting') all.push({ at: idOfPlugin(plugin.name, plugin.tunnel), name: plugin.name, word, severity: severity === 'error' ? 'error' : 'warning' });
  }
  if (status.pending) all.push({ at: 'config', name: '', word: 'config.title', severity: 'warning' });
  return all.sort((a, b) => Number(b.severity === 'error') - Number(a.severity === 'error'));
}

/** Whether a part starts or stops just now: it is too early to call everything OK. */
export const isSettling = ({ starting, backend, tunnels, plugins }: Status): boolean =>
  starting !== null || backend.state === 'starting' || backend.pending_action !== null
  || tunnels.some(({ state: now, swap }) => now === 'starting' || now === 'stopping' || (swap !== null && swap.state !== 'failed'))
  || plugins.some(({ state: now }) => now === 'starting');
