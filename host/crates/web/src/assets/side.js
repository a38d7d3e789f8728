// Beside the chat: the list of chats, and the drawer that it is on a narrow screen.

import { $, el } from './dom.js';

export const title = (text) => text || 'Untitled chat';

// `session`: the chat that is shown; `others`: how many older ones there are, which `more(count)` asks for.
let lines = 200;
export function drawList({ session, sessions, others, more }) {
  const list = $('list'), focused = list.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
  // Which folder a chat works in is worth a word where there is more than one.
  const several = new Set(sessions.map(({ workspace }) => workspace)).size > 1;
  const line = (info) => {
    const link = el('a', { href: '/s/' + encodeURIComponent(info.id), dir: 'auto', textContent: title(info.title) });
    if (several && info.workspace) link.append(el('small', { className: 'meta', title: info.workspace, textContent: ' · ' + info.workspace.split('/').pop() }));
    if (info.id === session) link.setAttribute('aria-current', 'page');
    return el('li', {}, link);
  };
  const away = sessions.filter(({ archived }) => archived), open = list.querySelector('details')?.open ?? false;
  list.replaceChildren(...sessions.filter(({ archived }) => !archived).map(line));
  if (away.length) {
    list.append(el('li', {}, el('details', { open: open || away.some(({ id }) => id === session) },
      el('summary', { textContent: `Archived (${away.length})` }), el('ul', { className: 'list' }, ...away.map(line)))));
  }
  if (others) {
    const show = el('button', { type: 'button', className: 'plain', textContent: `Show older chats (${others} more)` });
    show.onclick = () => { lines += 500; more(lines); };
    list.append(el('li', {}, show));
  }
  $('list-empty').hidden = sessions.length > 0;
  if (focused) [...list.querySelectorAll('a')].find((link) => link.getAttribute('href') === focused)?.focus();
}

export function drawer(app) {
  const show = (open) => {
    app.classList.toggle('side-shown', open);
    $('side-open').setAttribute('aria-expanded', String(open));
    (open ? $('side-close') : $('side-open')).focus();
  };
  $('side-open').onclick = () => show(true);
  $('side-close').onclick = () => show(false);
  addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    if (app.classList.contains('side-shown')) show(false);
    if ($('menu').open) { $('menu').open = false; $('menu').querySelector('summary').focus(); }
  });
  $('main').addEventListener('pointerdown', () => {
    if (app.classList.contains('side-shown')) show(false);
    $('menu').open = false;
  });
}
