// Requests to /api/v1. An answer that is no success becomes an `ApiError` with the host's own words.

import { place } from '../state/place';

export class ApiError extends Error {
  constructor(
    /** 0: there was no answer. */
    readonly status: number,
    detail: string,
  ) {
    super(detail);
  }
}

interface Options {
  method?: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** Sent as JSON; a file is sent as it is. */
  body?: unknown;
  query?: Record<string, string | number | undefined>;
  signal?: AbortSignal;
}

/** `path` begins below /api/v1; each part of it that comes from elsewhere is encoded by the caller. */
export async function call<T>(path: string, { method = 'GET', body, query, signal }: Options = {}): Promise<T> {
  const url = new URL(`${place.base}/api/v1${path}`, location.origin);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  const init: RequestInit = { method, cache: 'no-store', redirect: 'manual' };
  if (signal) init.signal = signal;
  if (body instanceof Blob) {
    init.body = body;
    init.headers = { 'content-type': body.type || 'application/octet-stream' };
  } else if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { 'content-type': 'application/json' };
  }
  let answer: Response;
  try {
    answer = await fetch(url, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, '');
  }
  const text = await answer.text();
  const json: unknown = text ? safely(text) : undefined;
  if (answer.ok) return json as T;
  const detail = (json as { detail?: string } | undefined)?.detail;
  throw new ApiError(answer.status, detail ?? `${answer.status} ${answer.statusText}`);
}

function safely(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
