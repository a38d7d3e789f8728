// Which address shows which view. Addresses that are none of these are pages of the host: full loads.

export type View =
  | { name: 'chat'; session: string | null }
  | { name: 'status' }
  | { name: 'log'; plugin: string | null; tunnel: string | null }
  | { name: 'settings' };

/** `base`: the path under which Nexus is served, without a slash at its end. Null: a page of the host. */
export function viewOf(url: { pathname: string; search: string }, base: string): View | null {
  if (!url.pathname.startsWith(`${base}/`)) return null;
  const path = url.pathname.slice(base.length);
  if (path === '/') return { name: 'chat', session: null };
  if (path === '/status' || path === '/settings') return { name: path === '/status' ? 'status' : 'settings' };
  if (path === '/log') {
    const query = new URLSearchParams(url.search);
    return { name: 'log', plugin: query.get('plugin') || null, tunnel: query.get('tunnel') || null };
  }
  const session = /^\/s\/([^/]+)$/.exec(path)?.[1];
  if (!session) return null;
  try {
    return { name: 'chat', session: decodeURIComponent(session) };
  } catch {
    return null;
  }
}

interface Press {
  defaultPrevented: boolean;
  button: number;
  metaKey: boolean;
  ctrlKey: boolean;
  shiftKey: boolean;
  altKey: boolean;
}

/** A press that the browser does not want for something of its own: a new tab, a download. */
export const isPlain = (press: Press): boolean =>
  !press.defaultPrevented && press.button === 0 && !press.metaKey && !press.ctrlKey && !press.shiftKey && !press.altKey;

/** Where a press on a link leads inside the app. Null: to somewhere else, or to another tab. */
export function followed(press: Press, link: HTMLAnchorElement, base: string, here: string): string | null {
  if (!isPlain(press) || (link.target && link.target !== '_self') || link.hasAttribute('download')) return null;
  const url = new URL(link.href, here);
  // Within a view the browser goes to a fragment by itself.
  if (url.origin !== new URL(here).origin || url.hash || !viewOf(url, base)) return null;
  return url.pathname + url.search;
}
