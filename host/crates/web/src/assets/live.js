// The live connection: connects, comes back by itself, and finds out when it is dead.
// The protocol is documented in host/crates/web/src/live/protocol.rs.

const PROTOCOL = 3;
const PING_EVERY = 20_000;
const WAKE_PATIENCE = 2_500;
// A connection that lived this long was a good one: the next break is tried again at once.
const STEADY = 10_000;
const LOGGED_OUT = 4001, WRONG_PROTOCOL = 4002;

export const toLogin = () => location.assign('/login?next=' + encodeURI(location.pathname));

function code(text) {
  const element = document.createElement('code');
  element.textContent = text;
  return element;
}

// Another plugin serves the tunnel that this page came through, at another address. Nobody is sent there unasked: what was
// typed here would be lost.
function moved(url, ended) {
  const link = document.createElement('a');
  const words = document.createElement('span');
  if (url) {
    link.href = url.replace(/\/$/, '') + location.pathname;
    link.textContent = url;
  }
  if (!url) words.append('This tunnel is being reopened by another plugin or with other settings, and this address ',
    ended ? 'is closed' : 'is closing', '. To find the new address, run ', code('nexus tunnel list'), ' on the machine that runs Nexus. [notify] reports it, too.');
  else if (ended) words.append('This address is no longer in use. Continue at ', link, '.');
  else words.append('Nexus has a new address: ', link, '. The current one closes in a moment; log in at the new one to continue.');
  const place = document.getElementById('moved') ?? document.createElement('p');
  Object.assign(place, { id: 'moved', className: 'banner warning' });
  place.setAttribute('role', 'alert');
  place.replaceChildren(words);
  if (!place.isConnected) document.getElementById('banners').before(place);
}

// A connection that is not open, or not greeted, after this long will not be: a network that comes back from sleep takes
// connections into which nothing is ever answered.
const DEADLINE = 10_000;
// Refused this often although the page itself is served: something between does not pass live connections on.
const REFUSED = 3;

export class Live {
  // hello(): what to add to the first frame. frame(f): called with each frame.
  // link(up, why, hint): the connection is there; or is not, and is tried again unless `why` says why that is no use.
  constructor({ hello, frame, link }) {
    Object.assign(this, { hello, frame, link, attempt: 0, refused: 0, heard: 0 });
    setInterval(() => this.check(2 * PING_EVERY), PING_EVERY);
    document.addEventListener('visibilitychange', () => document.hidden || this.wake());
    addEventListener('online', () => this.wake());
    // The browser knows at once what the connection would show after a while.
    addEventListener('offline', () => this.link(false));
    addEventListener('online', () => this.up && this.link(true));
    addEventListener('pageshow', (event) => event.persisted && this.wake());
    this.link(false);
    this.connect();
  }

  get up() { return this.socket?.readyState === WebSocket.OPEN && this.welcomed; }

  // False: not connected, nothing was sent.
  send(frame) {
    if (!this.up) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  connect() {
    clearTimeout(this.timer);
    this.timer = null;
    this.welcomed = false;
    const socket = this.socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/live');
    let opened = false;
    this.deadline(socket, () => opened);
    socket.onopen = () => {
      if (socket !== this.socket) return;
      opened = true;
      this.heard = Date.now();
      socket.send(JSON.stringify({ type: 'hello', protocol: PROTOCOL, ...this.hello() }));
      this.deadline(socket, () => opened);
    };
    socket.onmessage = (event) => {
      if (socket !== this.socket) return;
      this.heard = Date.now();
      const frame = JSON.parse(event.data);
      if (frame.type === 'pong') return;
      if (frame.type === 'moved') {
        this.moved = { url: frame.url };
        return moved(frame.url);
      }
      if (frame.type === 'welcome') {
        clearTimeout(this.late);
        this.welcomed = true;
        this.refused = 0;
        this.hint = null;
        if (this.moved) document.getElementById('moved')?.remove();
        this.moved = null;
        this.since = Date.now();
        this.link(true);
      }
      this.frame(frame);
    };
    socket.onclose = (event) => {
      if (socket !== this.socket) return;
      clearTimeout(this.late);
      if (this.moved) {
        moved(this.moved.url, true);
        // One that kept its address is there again in a moment.
        if (!this.moved.url) return this.again(opened);
        return this.link(false, 'This address is no longer in use.');
      }
      if (event.code === LOGGED_OUT) return toLogin();
      if (event.code === WRONG_PROTOCOL) return this.link(false, `This page is out of date: ${event.reason}. Reload it.`);
      this.again(opened);
    };
  }

  deadline(socket, opened) {
    clearTimeout(this.late);
    this.late = setTimeout(() => {
      if (socket !== this.socket || this.welcomed) return;
      this.leave();
      this.again(opened());
    }, DEADLINE);
  }

  async again(opened) {
    if (this.since && Date.now() - this.since > STEADY) this.attempt = 0;
    this.since = null;
    const wait = Math.min(10_000, 250 * 2 ** this.attempt++) * (0.75 + Math.random() / 2);
    this.welcomed = false;
    this.link(false, null, this.hint);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), wait);
    // A refused upgrade looks like a broken network; a page that sends us to the login tells them apart.
    if (opened) return;
    const answer = await fetch('/account', { redirect: 'manual', cache: 'no-store', signal: AbortSignal.timeout?.(DEADLINE) })
      .catch(() => null);
    if (answer?.type === 'opaqueredirect') return toLogin();
    this.refused = answer?.ok ? this.refused + 1 : 0;
    if (this.refused >= REFUSED && !this.up) {
      this.hint = 'The page loads, but live updates do not: a proxy between your browser and Nexus blocks WebSocket connections. '
        + 'To fix: configure the proxy to forward WebSocket upgrades for /live.';
      this.link(false, null, this.hint);
    }
  }

  leave() {
    const old = this.socket;
    this.socket = null;
    clearTimeout(this.late);
    old?.close();
  }

  drop() {
    this.leave();
    this.attempt = 0;
    this.link(false);
    this.connect();
  }

  // The tab or the network came back: find out at once whether the connection did too. One that is not up by now may hang.
  wake() {
    if (this.up) this.check(WAKE_PATIENCE);
    else if (!this.moved) this.drop();
  }

  check(patience) {
    const asked = Date.now();
    if (!this.send({ type: 'ping' })) return;
    const socket = this.socket;
    setTimeout(() => socket === this.socket && this.heard < asked && this.up && this.drop(), patience);
  }
}
