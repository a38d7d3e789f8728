// Who looks: where this page is, and what it shows.

import { nexus } from '../state/nexus.svelte';
import type { Watcher } from './consequences';

export const watcher = (): Watcher => ({
  origin: location.origin,
  sessions: nexus.sessions,
  more: nexus.more,
  waits: nexus.chat.requests.length ? nexus.title : null,
});
