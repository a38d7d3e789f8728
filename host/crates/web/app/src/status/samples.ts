// Statuses for tests.

import type { Status, TunnelStatus } from '../api/types';

type Tunnel = Omit<TunnelStatus, 'state'>;

export const tunnel = (state: object, more: Partial<Tunnel> = {}): TunnelStatus => ({
  name: 'main', plugin: 'tunnel-ssh', title: 'ssh', encryption: 'edge', url: 'https://a.example', url_propagating: false, fixed_listen: false,
  addresses: [{ url: 'https://a.example', private: false }], since: 0, statistics: null, reconnects: 0, public_check: null, swap: null, ...more, ...state,
} as TunnelStatus);

export const status = (more: Partial<Status> = {}): Status => ({
  version: '0.2.0', at: 0, config_file: '/n.toml', starting: null, problems: [], pending: null, workspace: '/w',
  backend: { state: 'up', plugin: 'chat-opencode', title: 'opencode', version: '1', example: false, features: [], pending_action: null, missing: null, storage_error: null },
  tunnels: [], plugins: [], running_turns: 0, chat_plugins: [{ name: 'chat-opencode', example: false }, { name: 'chat-echo', example: true }], tunnel_plugins: [],
  ...more,
} as Status);
