// What every page runs: picks the part of the script that the page needs.

import { Settling, once } from './guard.js';

const page = document.body.dataset.page;

export function localTimes(root) {
  for (const time of root.querySelectorAll('time[data-at]')) {
    const at = new Date(Number(time.dataset.at));
    time.dateTime = at.toISOString();
    time.textContent = 'clock' in time.dataset
      ? at.toLocaleTimeString([], { timeStyle: 'medium' })
      : at.toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' }) + ('plain' in time.dataset ? '' : ': ');
  }
}

// The set-up token is in the fragment, which is never sent by itself. It goes into the form and out of the address.
function setup() {
  const input = document.getElementById('token');
  if (location.hash.length > 1) {
    input.value = decodeURIComponent(location.hash.slice(1));
    history.replaceState(null, '', location.pathname);
  }
  const refused = document.querySelector('[role=alert]');
  document.getElementById('token-row').hidden = input.value !== '' && !refused;
}

// Where to go after a login: another site that is a step of it does not bring it back.
const NEXT = 'nexus-next';
function login() {
  try { sessionStorage.setItem(NEXT, new URLSearchParams(location.search).get('next') ?? ''); } catch { /* off */ }
}

// Back from another site: sent from here, the form has the cookies of this site.
function callback() {
  const form = document.getElementById('callback');
  let next = '';
  try { next = sessionStorage.getItem(NEXT) ?? ''; } catch { /* off */ }
  form.action = `${form.getAttribute('action')}?next=${encodeURIComponent(next)}`;
  // A parameter may be named as a method of the form is.
  HTMLFormElement.prototype.submit.call(form);
}

// Only where the browser has a clipboard: not on plain HTTP beyond this machine.
function copying(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll('[data-copy]')) {
    button.hidden = false;
    button.onclick = async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = 'Copied';
      setTimeout(() => { button.textContent = 'Copy'; }, 2000);
    };
  }
}

const FOCUSABLE = 'a, button, summary, select, input, [tabindex]';

async function status() {
  const { Live } = await import('./live.js');
  const body = document.getElementById('status'), banners = document.getElementById('banners');
  const line = document.getElementById('connection');
  // What one confirms must have been there long enough to be read, not have come under the pointer just now. The status
  // is drawn again and again: what a button confirms goes by its name, not by the element.
  const watched = new Map();
  const attend = (place) => {
    for (const button of place.querySelectorAll('[data-settle]')) {
      const { settle } = button.dataset, find = () => document.querySelector(`[data-settle="${CSS.escape(settle)}"]`);
      if (!watched.has(settle)) {
        const draw = () => { const now = find(); if (now) now.disabled = !watched.get(settle)?.settled; };
        watched.set(settle, new Settling(find, draw));
      }
      button.disabled = !watched.get(settle).settled;
      button.addEventListener('click', (event) => {
        if (event.detail > 1 || !watched.get(settle).allows(event)) event.preventDefault();
      });
    }
  };
  attend(document);
  // Both come rendered by the server from its own templates.
  const put = (place, html) => {
    if (place.dataset.was === html) return;
    place.dataset.was = html;
    const focused = place.contains(document.activeElement) ? document.activeElement : null;
    const nth = focused ? [...place.querySelectorAll(FOCUSABLE)].indexOf(focused) : -1;
    const chosen = new Map([...place.querySelectorAll('select')].map((select) => [select.id, select.value]));
    const unfolded = new Set([...place.querySelectorAll('details[open]')].map((details) => details.id));
    place.innerHTML = html;
    for (const select of place.querySelectorAll('select')) {
      const value = chosen.get(select.id);
      if ([...select.options].some((option) => option.value === value)) select.value = value;
    }
    for (const details of place.querySelectorAll('details')) details.open = unfolded.has(details.id);
    attend(place);
    localTimes(place);
    copying(place);
    if (focused) {
      // By its name; one without is where it was, if that is still the same.
      const there = [...place.querySelectorAll(FOCUSABLE)][nth];
      const same = there?.textContent === focused.textContent ? there : null;
      const again = focused.id ? document.getElementById(focused.id) : same;
      (again ?? document.getElementById('main')).focus({ preventScroll: true });
    }
  };
  copying(body);
  new Live({
    hello: () => ({ status: true }),
    frame: (frame) => {
      if (frame.type === 'status') put(body, frame.html);
      if (frame.type === 'backend') put(banners, frame.html);
    },
    link: (up, why, hint) => {
      line.textContent = up ? 'Live: this page updates by itself.' : why ?? hint ?? 'Not connected. Retrying…';
    },
  });
}

// The page itself is asked for again; who has scrolled up stays there.
function log() {
  const box = document.getElementById('log');
  const down = () => { box.scrollTop = box.scrollHeight; };
  down();
  const look = async () => {
    if (document.hidden) return;
    const answer = await fetch(location.href).catch(() => null);
    if (!answer?.ok || answer.redirected) return;
    const now = new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById('log');
    if (!now || now.textContent === box.textContent) return;
    const atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
    box.replaceChildren(...now.childNodes);
    if (atEnd) down();
  };
  const again = () => setTimeout(() => look().finally(again), 2000);
  again();
}

once();
// What was kept for a user who logs out is of no use to the next one.
document.addEventListener('submit', (event) => {
  if (!event.target.action?.endsWith('/logout')) return;
  try { for (const key of Object.keys(localStorage)) if (key.startsWith('nexus:')) localStorage.removeItem(key); } catch { /* off */ }
});

localTimes(document);
if (page === 'log') log();
if (page === 'setup') setup();
if (page === 'login') login();
if (page === 'callback') callback();
const passkey = document.getElementById('passkey');
if (passkey) import('./webauthn.js').then((webauthn) => webauthn.start(passkey));
if (page === 'status') status();
if (page === 'chat') import('./chat.js').then((chat) => chat.start());
