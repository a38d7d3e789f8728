// What an action cuts, told before it is done.

import type { ListedSession, Status, TunnelStatus } from '../api/types';
import { t } from '../i18n/texts.svelte';

/** How long a running turn gets to finish, in seconds: CHAT_DRAIN in host/crates/model/src/limits.rs. */
const DRAIN = 30;

export interface Watcher {
  /** Where this page is: `https://nexus.example`. */
  origin: string;
  sessions: readonly ListedSession[];
  /** How many sessions are not in the list. */
  more: number;
  /** The title of the chat that is shown, where the agent waits for an answer in it. */
  waits: string | null;
}

const originOf = (url: string): string | null => {
  try {
    return new URL(url).origin;
  } catch {
    return null;
  }
};

/** Whether this page came through a tunnel: one of its addresses is the page's own. */
export const isThrough = (tunnel: TunnelStatus, origin: string): boolean =>
  [tunnel.url, ...tunnel.addresses.map(({ url }) => url)].some((url) => url !== null && originOf(url) === origin);

export type BackendAction = { type: 'stop' } | { type: 'restart' } | { type: 'swap'; plugin: string };

export function backendCuts(action: BackendAction, status: Status, { sessions, more, waits }: Watcher): string[] {
  const { backend } = status;
  const turns = status.running_turns;
  const cuts = [turns ? t('cuts.turns', turns, DRAIN) : t('cuts.noTurns')];
  if (waits !== null) cuts.push(t('cuts.requests', waits));
  if (action.type === 'stop') cuts.push(t('cuts.stopChats'));
  if (action.type === 'restart') cuts.push(t('cuts.restartChats'));
  if (action.type === 'swap') {
    const own = sessions.filter((session) => session.backend === backend.plugin).length + more;
    if (own && action.plugin !== backend.plugin) cuts.push(t('cuts.readOnly', own, backend.plugin));
    if (status.chat_plugins.some(({ name, example }) => example && name === action.plugin)) cuts.push(t('cuts.example', action.plugin));
  }
  return cuts;
}

const IS_OPEN = new Set<TunnelStatus['state']>(['up', 'degraded', 'reconnecting']);

export function stopCuts(tunnel: TunnelStatus, { origin }: Watcher): string[] {
  if (!IS_OPEN.has(tunnel.state)) return [t('cuts.opens')];
  return [
    tunnel.url ? t('cuts.everyone', tunnel.url) : t('cuts.everyoneHere'),
    ...(isThrough(tunnel, origin) ? [t('cuts.you', tunnel.name)] : []),
  ];
}

export function swapCuts(tunnel: TunnelStatus, { origin }: Watcher): string[] {
  if (tunnel.state === 'off' || tunnel.state === 'failed') return [t('cuts.closed')];
  if (!IS_OPEN.has(tunnel.state)) return [t('cuts.opens')];
  const through = isThrough(tunnel, origin);
  if (!tunnel.fixed_listen) return [t('cuts.openFirst'), t('cuts.address'), ...(through ? [t('cuts.youMove')] : [])];
  return [
    t('cuts.fixedListen'),
    tunnel.url ? t('cuts.everyone', tunnel.url) : t('cuts.everyoneHere'),
    t('cuts.address'),
    ...(through ? [t('cuts.youSwap')] : []),
  ];
}
