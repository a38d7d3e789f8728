// The view that is shown, and the ways from one to another without a load of the page.

import { place } from '../state/place';
import { followed, viewOf, type View } from './router';

class Navigation {
  view = $state.raw<View>(viewOf(location, place.base) ?? { name: 'chat', session: null });
  /** How often the view has changed: each time the focus goes to its heading. */
  turns = $state(0);
  #chat: (session: string | null) => void = () => {};

  /** `chat(session)`: the address now names this chat. */
  start(chat: (session: string | null) => void): void {
    this.#chat = chat;
    addEventListener('popstate', () => {
      const view = viewOf(location, place.base);
      if (view) this.#show(view);
      else location.reload();
    });
    document.addEventListener('click', (event) => {
      const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>('a[href]') : null;
      const path = link && followed(event, link, place.base, location.href);
      if (!path) return;
      event.preventDefault();
      this.go(path);
    });
  }

  /** `path`: with the base path. One that is no view of the app is loaded. */
  go(path: string): void {
    const url = new URL(path, location.href);
    const view = viewOf(url, place.base);
    if (!view) return location.assign(url);
    if (url.href !== location.href) history.pushState(null, '', url);
    this.#show(view);
  }

  /** Another address of the same view. */
  replace(path: string): void {
    const url = new URL(path, location.href);
    history.replaceState(null, '', url);
    this.view = viewOf(url, place.base) ?? this.view;
  }

  #show(view: View): void {
    const other = view.name !== this.view.name;
    this.view = view;
    if (view.name === 'chat') this.#chat(view.session);
    if (other) this.turns += 1;
  }
}

export const navigation = new Navigation();
