// Times as people write them, in the language of the page.

import { language, t } from '../i18n/texts.svelte';

/** "14:05" of today, "Tue 14:05" of this week, else the date. */
export function timeOfDay(at: number, now = Date.now()): string {
  const day = 86_400_000;
  const age = startOfDay(now) - startOfDay(at);
  const options: Intl.DateTimeFormatOptions = age <= 0 ? { timeStyle: 'short' }
    : age < 7 * day ? { weekday: 'short', hour: 'numeric', minute: '2-digit' } : { dateStyle: 'medium' };
  return new Date(at).toLocaleString(language(), options);
}

export function startOfDay(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}

/** "in 5 s", "in 3 minutes", "in 16 days". */
export function until(ms: number): string {
  const s = Math.ceil(ms / 1000);
  if (s <= 0) return t('time.now');
  if (s < 120) return t('time.inSeconds', s);
  if (s < 7200) return t('time.inMinutes', Math.round(s / 60));
  if (s < 172_800) return t('time.inHours', Math.round(s / 3600));
  return t('time.inDays', Math.round(s / 86_400));
}

/** "12 s", "3 min 5 s". */
export function duration(ms: number): string {
  const s = Math.max(1, Math.round(ms / 1000));
  return s < 60 ? t('time.seconds', s) : t('time.minutes', Math.floor(s / 60), s % 60);
}
