// What every page runs: picks the part of the script that the page needs.

import { once } from './guard.js';

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

once();
// What was kept for a user who logs out is of no use to the next one.
document.addEventListener('submit', (event) => {
  if (!event.target.action?.endsWith('/logout')) return;
  try { for (const key of Object.keys(localStorage)) if (key.startsWith('nexus:')) localStorage.removeItem(key); } catch { /* off */ }
});

localTimes(document);
if (page === 'setup') setup();
if (page === 'login') login();
if (page === 'callback') callback();
const passkey = document.getElementById('passkey');
if (passkey) import('./webauthn.js').then((webauthn) => webauthn.start(passkey));
