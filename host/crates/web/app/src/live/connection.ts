// The live connection: connects, comes back by itself, and finds out when it is dead.
// The protocol is documented in host/crates/web/src/live/protocol.rs.

import type { ClientFrame, ServerFrame } from '../api/types';

export const PROTOCOL = 3;
const PING_EVERY = 20_000;
const WAKE_PATIENCE = 2_500;
/** A connection that lived this long was a good one: the next break is tried again at once. */
const STEADY = 10_000;
/** A connection that is not open, or not greeted, after this long will not be: a network that comes back from sleep takes
    connections into which nothing is ever answered. */
const DEADLINE = 10_000;
/** Refused this often although the page itself is served: something between does not pass live connections on. */
const REFUSED = 3;
const LOGGED_OUT = 4001;
const WRONG_PROTOCOL = 4002;

/** Why there is no connection. `final`: it is not tried again. */
export type Break =
  | { why: 'connecting' | 'offline' | 'blocked'; final: false }
  | { why: 'outdated' | 'moved'; final: true };

interface Parts {
  /** Where the socket is, and a page that needs a login. */
  urls: { socket: string; page: string };
  /** What is added to the first frame. */
  hello: () => { session?: string; from?: number | null; status?: boolean };
  frame: (frame: ServerFrame) => void;
  link: (lost: Break | null) => void;
  /** The tunnel that this page came through has another address, or none that is known. Null: no longer. */
  moved: (to: { url: string | null; closed: boolean } | null) => void;
  toLogin: () => void;
}

export class LiveConnection {
  #parts: Parts;
  #socket: WebSocket | null = null;
  #welcomed = false;
  #attempt = 0;
  #refused = 0;
  #blocked = false;
  #heard = 0;
  #since: number | null = null;
  #moved: { url: string | null } | null = null;
  #again: ReturnType<typeof setTimeout> | undefined;
  #late: ReturnType<typeof setTimeout> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  start(): void {
    setInterval(() => this.#check(2 * PING_EVERY), PING_EVERY);
    document.addEventListener('visibilitychange', () => document.hidden || this.wake());
    addEventListener('online', () => {
      if (this.up) this.#parts.link(null);
      this.wake();
    });
    // The browser knows at once what the connection would show after a while.
    addEventListener('offline', () => this.#lost());
    addEventListener('pageshow', (event) => event.persisted && this.wake());
    this.#lost();
    this.#connect();
  }

  get up(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN && this.#welcomed;
  }

  /** False: not connected, nothing was sent. */
  send(frame: ClientFrame): boolean {
    if (!this.up) return false;
    this.#socket?.send(JSON.stringify(frame));
    return true;
  }

  /** What `hello` says is another thing now. A connection that is not up says it by itself. */
  renew(): void {
    if (this.up && !this.#moved) this.#drop();
  }

  /** The tab or the network came back: finds out at once whether the connection did too. One that is not up may hang. */
  wake(): void {
    if (this.up) this.#check(WAKE_PATIENCE);
    else if (!this.#moved) this.#drop();
  }

  #lost(): void {
    const why = !navigator.onLine ? 'offline' : this.#blocked ? 'blocked' : 'connecting';
    this.#parts.link({ why, final: false });
  }

  #connect(): void {
    clearTimeout(this.#again);
    this.#welcomed = false;
    const socket = new WebSocket(this.#parts.urls.socket);
    this.#socket = socket;
    let opened = false;
    const isOpen = () => opened;
    this.#deadline(socket, isOpen);
    socket.onopen = () => {
      if (socket !== this.#socket) return;
      opened = true;
      this.#heard = Date.now();
      socket.send(JSON.stringify({ type: 'hello', protocol: PROTOCOL, ...this.#parts.hello() }));
      this.#deadline(socket, isOpen);
    };
    socket.onmessage = (event) => {
      if (socket !== this.#socket) return;
      this.#heard = Date.now();
      this.#take(JSON.parse(String(event.data)) as ServerFrame);
    };
    socket.onclose = (event) => {
      if (socket === this.#socket) this.#closed(event, opened);
    };
  }

  #take(frame: ServerFrame): void {
    if (frame.type === 'pong') return;
    if (frame.type === 'moved') {
      this.#moved = { url: frame.url };
      return this.#parts.moved({ url: frame.url, closed: false });
    }
    if (frame.type === 'welcome') {
      clearTimeout(this.#late);
      this.#welcomed = true;
      this.#refused = 0;
      this.#blocked = false;
      if (this.#moved) this.#parts.moved(null);
      this.#moved = null;
      this.#since = Date.now();
      this.#parts.link(null);
    }
    this.#parts.frame(frame);
  }

  #closed(event: CloseEvent, opened: boolean): void {
    clearTimeout(this.#late);
    if (this.#moved) {
      this.#parts.moved({ url: this.#moved.url, closed: true });
      // One that kept its address is there again in a moment.
      if (!this.#moved.url) return void this.#retry(opened);
      return this.#parts.link({ why: 'moved', final: true });
    }
    if (event.code === LOGGED_OUT) return this.#parts.toLogin();
    if (event.code === WRONG_PROTOCOL) return this.#parts.link({ why: 'outdated', final: true });
    void this.#retry(opened);
  }

  #deadline(socket: WebSocket, opened: () => boolean): void {
    clearTimeout(this.#late);
    this.#late = setTimeout(() => {
      if (socket !== this.#socket || this.#welcomed) return;
      this.#leave();
      void this.#retry(opened());
    }, DEADLINE);
  }

  async #retry(opened: boolean): Promise<void> {
    if (this.#since && Date.now() - this.#since > STEADY) this.#attempt = 0;
    this.#since = null;
    const wait = Math.min(10_000, 250 * 2 ** this.#attempt++) * (0.75 + Math.random() / 2);
    this.#welcomed = false;
    this.#lost();
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#connect(), wait);
    // A refused upgrade looks like a broken network; a page that sends us to the login tells them apart.
    if (opened) return;
    const answer = await fetch(this.#parts.urls.page, {
      redirect: 'manual', cache: 'no-store', signal: AbortSignal.timeout(DEADLINE),
    }).catch(() => null);
    if (answer?.type === 'opaqueredirect') return this.#parts.toLogin();
    this.#refused = answer?.ok ? this.#refused + 1 : 0;
    if (this.#refused < REFUSED || this.up) return;
    this.#blocked = true;
    this.#lost();
  }

  #leave(): void {
    const old = this.#socket;
    this.#socket = null;
    clearTimeout(this.#late);
    old?.close();
  }

  #drop(): void {
    this.#leave();
    this.#attempt = 0;
    this.#lost();
    this.#connect();
  }

  #check(patience: number): void {
    const asked = Date.now();
    if (!this.send({ type: 'ping' })) return;
    const socket = this.#socket;
    setTimeout(() => socket === this.#socket && this.#heard < asked && this.up && this.#drop(), patience);
  }
}
