// The numbers of a status, by name.

import type { PluginDetails, Status } from '../api/types';
import type { Measurement } from './ring';

export const nameOf = {
  plugin: (plugin: string, tunnel: string | null, what: 'cpu' | 'calls' | 'memory' | 'restarts') => `plugin ${plugin} ${tunnel ?? ''} ${what}`,
  processes: (plugin: string, tunnel: string | null, what: 'cpu' | 'memory') => `processes ${plugin} ${tunnel ?? ''} ${what}`,
  tunnel: (tunnel: string, what: 'latency' | 'reconnects' | 'requests') => `tunnel ${tunnel} ${what}`,
};

/** The sum, or null where one is not known or there is none. */
export function sum(all: readonly (number | null)[]): number | null {
  return all.length && all.every((one) => one !== null) ? all.reduce<number>((total, one) => total + (one ?? 0), 0) : null;
}

export function measured(status: Status, details: readonly PluginDetails[]): Measurement {
  const values: Record<string, number> = {};
  const put = (name: string, value: number | null | undefined) => { if (value !== null && value !== undefined) values[name] = value; };
  for (const { name, tunnel, statistics, processes } of details) {
    put(nameOf.plugin(name, tunnel, 'cpu'), statistics.cpu_ms);
    put(nameOf.plugin(name, tunnel, 'calls'), statistics.calls);
    put(nameOf.plugin(name, tunnel, 'memory'), statistics.memory_peak_bytes);
    put(nameOf.processes(name, tunnel, 'cpu'), sum(processes.map(({ cpu_ms }) => cpu_ms)));
    put(nameOf.processes(name, tunnel, 'memory'), sum(processes.map(({ resident_bytes }) => resident_bytes)));
  }
  for (const { name, tunnel, restarts } of status.plugins) put(nameOf.plugin(name, tunnel, 'restarts'), restarts);
  for (const { name, public_check, reconnects, statistics } of status.tunnels) {
    if (public_check?.state === 'passed') put(nameOf.tunnel(name, 'latency'), public_check.latency_ms);
    put(nameOf.tunnel(name, 'reconnects'), reconnects);
    put(nameOf.tunnel(name, 'requests'), statistics?.requests);
  }
  return { at: status.at, values };
}
