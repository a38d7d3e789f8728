// What to do about an error, by the backend's or the provider's words.

const ADVICE = [
  [/model not found|unknown model|no such model/i, 'advice.model'],
  [/api key|unauthori[sz]ed|authentication|\b401\b/i, 'advice.key'],
  [/\b402\b|quota|credit|billing|payment/i, 'advice.quota'],
  [/\b413\b|too (long|large)|context (length|window)|maximum context/i, 'advice.long'],
] as const;

/** The name of the text, or null where nothing is known or the error has its own fix. */
export const advice = (text: string): (typeof ADVICE)[number][1] | null =>
  (/to fix:/i.test(text) ? null : ADVICE.find(([pattern]) => pattern.test(text))?.[1] ?? null);
