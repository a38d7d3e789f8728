// What the whole page knows: the connection, the backend, the list of chats, and the chat that is shown.

import { explained, type Answer, type Backend, type ClientFrame, type ListedSession, type ServerFrame, type SessionInfo } from '../api/types';
import { navigation } from '../shell/navigation.svelte';
import { isLocal, Transcript } from '../chat/transcript.svelte';
import { Outbox, type Sending } from '../chat/outbox.svelte';
import { t } from '../i18n/texts.svelte';
import { LiveConnection, type Break } from '../live/connection';
import { place } from './place';
import { uuid } from './uuid';

/** What stands above the composer. `passing`: it is there because the backend is unavailable, and no longer true when that is back. */
export interface Notice {
  text: string;
  calm: boolean;
  passing: boolean;
}

interface Request {
  done?: ((value?: SessionInfo) => void) | undefined;
  failed?: ((why: string) => void) | undefined;
}

export const path = (session: string | null): string => (session ? `${place.base}/s/${encodeURIComponent(session)}` : `${place.base}/`);

export class Nexus {
  backend = $state.raw<Backend | null>(null);
  /** The banners above the page, rendered and sanitized by the host. */
  banners = $state('');
  sessions = $state.raw<readonly ListedSession[]>([]);
  /** How many chats are not in `sessions`. */
  more = $state(0);
  /** Why there is no connection, or null. */
  lost = $state.raw<Break | null>({ why: 'connecting', final: false });
  /** There was a connection. */
  linked = $state(false);
  moved = $state.raw<{ url: string | null; closed: boolean } | null>(null);
  /** The chat that is shown. Null: a new one. */
  session = $state<string | null>(null);
  chat = $state.raw(new Transcript());
  notice = $state.raw<Notice | null>(null);
  /** What a screen reader reads out. */
  announced = $state('');
  /** What the host's clock says more than this one, in milliseconds. */
  skew = $state(0);
  /** A first message waits for the connection or the backend. */
  eager = $state(false);
  /** A text that comes back into the composer. */
  returned = $state.raw<Sending | null>(null);
  /** An answer ended while nobody looked. */
  unseen = $state(false);
  creating = $state(false);
  /** How often something of the status has changed: counted while a view shows it. */
  statusChanges = $state(0);
  /** The folder in which a new chat is to be made. Null: the configured one. */
  workspace = $state<string | null>(null);
  readonly home = `${place.base}/`;
  #creation: string | null = null;
  #watchesStatus = false;
  /** What the host was told of it. */
  #toldStatus = false;
  #renewing: ReturnType<typeof setTimeout> | undefined;
  #requests = new Map<string, Request>();
  #live: LiveConnection;
  outbox: Outbox;

  constructor() {
    this.outbox = new Outbox({
      session: () => this.session,
      send: (frame) => this.send(frame),
      isShown: (clientId) => !!this.chat.message(`local-${clientId}`),
      giveBack: (item, why, calm) => {
        // One that the host keeps stays where it is.
        if (!item.now) this.returned = item;
        this.tell(why, calm);
      },
    });
    this.#live = new LiveConnection({
      urls: { socket: location.origin.replace(/^http/, 'ws') + `${place.base}/live`, page: `${place.base}/account` },
      hello: () => ({ status: (this.#toldStatus = this.#watchesStatus), ...(this.session ? { session: this.session, from: this.chat.seq } : {}) }),
      frame: (frame) => this.#take(frame),
      link: (lost) => this.#link(lost),
      moved: (to) => { this.moved = to; },
      toLogin: () => location.assign(`${place.base}/login?next=${encodeURI(location.pathname)}`),
    });
  }

  start(): void {
    const { view } = navigation;
    this.session = view.name === 'chat' ? view.session : null;
    this.outbox.resume();
    navigation.start((session) => { if (session !== this.session) this.#show(session); });
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.unseen = false; });
    this.#live.start();
  }

  get title(): string {
    if (!this.session) return t('chats.new');
    const listed = this.sessions.find(({ id }) => id === this.session);
    return this.chat.info?.title || listed?.title || t('chats.untitled');
  }

  /** The plugin that this chat is of, where another one runs now: the chat can be read only. */
  get foreign(): string | null {
    const owner = this.sessions.find(({ id }) => id === this.session)?.backend;
    // What is starting may still turn out to be missing.
    if (!owner || !this.backend || this.backend.state === 'starting') return null;
    return owner === this.backend.plugin ? null : owner;
  }

  /** Which folder a chat works in is worth a word where there is more than one. */
  get severalFolders(): boolean {
    return new Set(this.sessions.map(({ workspace }) => workspace)).size > 1;
  }

  get ready(): boolean {
    return this.backend === null || this.backend.state === 'up';
  }

  send(frame: ClientFrame): boolean {
    return this.#live.send(frame);
  }

  say(text: string): void {
    this.announced = text;
  }

  tell(text: string | null, calm = false, passing = false): void {
    this.notice = text ? { text, calm, passing } : null;
  }

  /** Shows another chat, without a load of the page. */
  open(session: string | null): void {
    navigation.go(path(session));
  }

  /** Whether changes of the status are counted. A connection tells it at its beginning, so there is another one, as soon as
      no request waits for an answer on this one. */
  watchStatus(on: boolean): void {
    this.#watchesStatus = on;
    clearTimeout(this.#renewing);
    const renew = () => {
      if (this.#toldStatus === this.#watchesStatus) return;
      if (this.#requests.size) this.#renewing = setTimeout(renew, 100);
      else this.#live.renew();
    };
    renew();
  }

  /** Sends a request with an answer of its own; says so where it cannot be sent. */
  ask(frame: ClientFrame & { id: string }, { done, failed }: Request = {}): void {
    this.#requests.set(frame.id, { done, failed });
    if (this.send(frame)) return;
    this.#requests.delete(frame.id);
    this.tell(t('composer.notConnected'));
    failed?.(t('composer.notConnected'));
  }

  reply(request: string, answer: Answer, failed: (why: string) => void): void {
    if (this.session) this.ask({ type: 'reply', id: uuid(), session: this.session, request, answer }, { failed });
  }

  cancel(settled: () => void): void {
    if (this.session) this.ask({ type: 'cancel', id: uuid(), session: this.session }, { done: settled, failed: settled });
  }

  takeBack(clientId: string, done: () => void): void {
    if (this.session) this.ask({ type: 'take_back', id: uuid(), session: this.session, client_id: clientId }, { done });
  }

  goOn(failed: () => void): void {
    if (this.session) this.ask({ type: 'continue', id: uuid(), session: this.session }, { failed });
  }

  older(): boolean {
    const { before } = this.chat;
    return !!this.session && before !== null && this.send({ type: 'older', session: this.session, before });
  }

  whole(part: string): boolean {
    return !!this.session && this.send({ type: 'part', session: this.session, part });
  }

  list(count: number): void {
    this.send({ type: 'list', count });
  }

  /** What keeps a new chat from being made now: then a first message waits for it. Null: nothing. */
  get notYet(): string | null {
    if (this.lost) return t('composer.sentWhenConnected');
    const state = this.backend?.state;
    return state === 'starting' || state === 'reconnecting' ? t('composer.sentWhenReady') : null;
  }

  /** The chat that is shown, which is made now if there is none. Null: it could not be made, and that was told. */
  chatOf(workspace: string | null): Promise<string | null> {
    if (this.session) return Promise.resolve(this.session);
    this.creating = true;
    // Asked for again after a break, it makes the same chat.
    const id = (this.#creation ??= uuid());
    return new Promise((resolve) => {
      this.ask({ type: 'create', id, title: null, workspace }, {
        failed: () => {
          this.creating = false;
          resolve(null);
        },
        done: (info) => {
          this.creating = false;
          this.#creation = null;
          if (!info) return resolve(null);
          this.session = info.id;
          if (navigation.view.name === 'chat') navigation.replace(path(info.id));
          this.send({ type: 'subscribe', session: info.id, from: null });
          resolve(info.id);
        },
      });
    });
  }

  #show(session: string | null): void {
    this.session = session;
    this.chat = new Transcript();
    this.tell(null);
    this.eager = false;
    this.outbox.resume();
    this.send(session ? { type: 'subscribe', session, from: null } : { type: 'unsubscribe' });
    this.outbox.connected();
  }

  #link(lost: Break | null): void {
    if (lost) {
      for (const [id, request] of [...this.#requests]) {
        this.#requests.delete(id);
        request.failed?.(t('request.connectionLost'));
      }
    }
    this.lost = lost;
    if (!lost) this.linked = true;
  }

  #settle(id: string): Request | undefined {
    const request = this.#requests.get(id);
    this.#requests.delete(id);
    return request;
  }

  #take(frame: ServerFrame): void {
    switch (frame.type) {
      case 'welcome':
        this.skew = frame.now - Date.now();
        return this.outbox.connected();
      case 'list':
        this.sessions = frame.sessions;
        this.more = frame.more ?? 0;
        return;
      case 'backend':
        this.backend = frame.backend;
        this.banners = frame.html;
        if (this.backend.state === 'up' && this.notice?.passing) this.tell(null);
        return;
      case 'admitted': return this.outbox.admitted(frame);
      case 'refused': return this.outbox.refused(frame);
      case 'deferred': return this.outbox.deferred(frame);
      case 'consent': return this.outbox.consent(frame);
      case 'created': return this.#settle(frame.id)?.done?.(frame.session);
      case 'done': return this.#settle(frame.id)?.done?.();
      case 'failed': {
        const why = explained(frame);
        this.tell(why, false, !this.ready);
        return this.#settle(frame.id)?.failed?.(why);
      }
      case 'invalid': return this.tell(explained(frame));
      case 'state': case 'request': case 'event': case 'blocks': case 'older': case 'part': case 'ended':
        if (frame.session === this.session) this.#ofChat(frame);
        return;
      case 'status':
        this.statusChanges += 1;
        return;
      case 'moved': case 'pong':
        return;
    }
  }

  #ofChat(frame: Extract<ServerFrame, { type: 'state' | 'request' | 'event' | 'blocks' | 'older' | 'part' | 'ended' }>): void {
    const { chat } = this;
    switch (frame.type) {
      case 'state': {
        chat.state(frame);
        for (const item of this.outbox.items.filter(({ state }) => state.type === 'admitted')) this.outbox.forget(item);
        for (const { info } of chat.messages) if (info.role === 'user' && !isLocal(info) && info.client_id) this.outbox.settle(info.client_id);
        return;
      }
      case 'blocks': return chat.complete(frame);
      case 'older': return chat.older(frame);
      case 'part': return chat.whole(frame.part);
      case 'request': return chat.request(frame.request);
      case 'ended':
        if (!frame.resubscribe) return this.#ended(explained(frame));
        setTimeout(() => this.session === frame.session && this.send({ type: 'subscribe', session: frame.session, from: chat.seq }), 500);
        return;
      case 'event': {
        const { event } = frame;
        const was = chat.turn.state;
        const gap = chat.event(frame);
        if (gap) return void this.send({ type: 'subscribe', session: frame.session, from: gap.from });
        if (event.type === 'session_removed') this.#ended(t('chat.deleted'));
        if (event.type === 'message' && event.message.role === 'user') {
          if (isLocal(event.message)) this.outbox.shown(event.message.client_id);
          else this.outbox.settle(event.message.client_id);
        }
        if (event.type === 'request') this.#asked();
        if (event.type === 'turn') this.#turned(was);
        if (event.type === 'error' && chat.error === event.text) this.say(event.text);
      }
    }
  }

  #asked(): void {
    const request = this.chat.requests.at(-1);
    if (!request) return;
    const what = request.questions?.length ? request.questions.map(({ text }) => text).join(' ') : request.detail;
    this.say(t('request.says', what).slice(0, 300));
  }

  #turned(was: string): void {
    const { turn, last, error } = this.chat;
    if (was !== 'idle' && turn.state === 'idle') {
      const failed = error ?? last?.info.error;
      const part = last?.parts.findLast(({ data }) => data.content.type === 'text');
      // What came here while it was written was read out by then: chat/Spoken.svelte.
      const text = part && part.began === null ? part.text : '';
      this.say(failed === 'Aborted' ? t('message.stopped') : failed ? t('turn.saysFailed', failed).slice(0, 500)
        : t('turn.saysFinished', text.slice(0, 500)).trim());
      this.unseen = document.hidden;
    }
    if (turn.state === 'interrupted') this.say(t('turn.saysInterrupted'));
  }

  #ended(cause: string): void {
    this.chat.end(cause);
    this.say(cause);
  }
}

export const nexus = new Nexus();
