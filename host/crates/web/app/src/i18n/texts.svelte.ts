// The language of the page: English is part of it, others come when they are chosen. A language file that has not a text, or
// has another shape of one, does not compile.

import { en, type Texts } from './en';

export const LANGUAGES = { en: 'English', de: 'Deutsch' } as const;
export type Language = keyof typeof LANGUAGES;

const LOADERS: Record<Exclude<Language, 'en'>, () => Promise<Texts>> = {
  de: async () => (await import('./de')).de,
};

const KEY = 'nexus:language';
let texts = $state.raw<Texts>(en);
let current = $state<Language>('en');

type Value<K extends keyof Texts> = Texts[K] extends (...args: infer Args) => string ? Args : [];

/** The text of that name in the language of the page. */
export function t<K extends keyof Texts>(name: K, ...values: Value<K>): string {
  const text = texts[name] as string | ((...args: Value<K>) => string);
  return typeof text === 'function' ? text(...values) : text;
}

/** Texts whose name is put together, where there is one. */
export function known(name: string): string | null {
  const text = Object.hasOwn(texts, name) ? texts[name as keyof Texts] : null;
  return typeof text === 'string' ? text : null;
}

export const language = (): Language => current;

const isLanguage = (name: string | null | undefined): name is Language => !!name && Object.hasOwn(LANGUAGES, name);

/** The language that was chosen here, or else the first one of the browser's that there is. */
export function preferred(): Language {
  let chosen: string | null = null;
  try {
    chosen = localStorage.getItem(KEY);
  } catch { /* off */ }
  const wanted = [chosen, ...navigator.languages.map((name) => name.split('-')[0])];
  return wanted.find(isLanguage) ?? 'en';
}

export async function speak(to: Language, remember = false): Promise<void> {
  const loaded = to === 'en' ? en : await LOADERS[to]();
  texts = loaded;
  current = to;
  document.documentElement.lang = to;
  if (!remember) return;
  try {
    localStorage.setItem(KEY, to);
  } catch { /* full or off */ }
}
