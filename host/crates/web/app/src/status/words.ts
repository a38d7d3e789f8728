// Durations, sizes and shares as people write them, in the language of the page.

import { language } from '../i18n/texts.svelte';
import { bytes } from '../state/sizes';

const unit = (value: number, name: string): string =>
  new Intl.NumberFormat(language(), { style: 'unit', unit: name, unitDisplay: 'short', maximumFractionDigits: 0 }).format(value);

/** "850 ms", "12 sec", "5 min", "3 hr 20 min", "2 days 4 hr". */
export function lasting(ms: number): string {
  if (ms < 1000) return unit(Math.max(0, Math.round(ms)), 'millisecond');
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return unit(seconds, 'second');
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return unit(minutes, 'minute');
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return [unit(hours, 'hour'), ...(minutes % 60 ? [unit(minutes % 60, 'minute')] : [])].join(' ');
  return [unit(Math.floor(hours / 24), 'day'), ...(hours % 24 ? [unit(hours % 24, 'hour')] : [])].join(' ');
}

export const size = (value: number): string => bytes(Math.round(value));

/** The share of one processor: `ms` of CPU time each second. */
export const share = (ms: number): string =>
  new Intl.NumberFormat(language(), { style: 'percent', maximumFractionDigits: ms < 100 ? 1 : 0 }).format(ms / 1000);

export const figure = (value: number): string =>
  new Intl.NumberFormat(language(), { maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);

/** "14:05:09". */
export const clock = (at: number): string => new Date(at).toLocaleTimeString(language(), { timeStyle: 'medium' });
