// The page is the real one; its live socket is played by this file, so that a backend can say whatever it likes, at the
// moment a test chooses.

import { ACCOUNT, PASSWORD, refused, until, world } from './kit.mjs';

export const SESSION = 'ses_requests';
const info = { id: SESSION, workspace: '/project', title: 'Requests', created_at: 1, updated_at: 1 };

/** The host's side of the live socket. */
export class Host {
  replies = [];
  requests = [];
  seq = 1;
  messages = [];
  // False: an answer is taken and not acted on.
  closes = true;
  now = Date.now();
  turn = { state: 'running' };
  // The other frames that the page sent, without its pings.
  heard = [];

  static async of(page) {
    const host = new Host();
    // The chat is this file's alone: its page is no page of the real host.
    refused.add(`/s/${SESSION}`);
    await page.routeWebSocket(/\/live$/, (socket) => {
      host.socket = socket;
      socket.onMessage((text) => host.hear(JSON.parse(text)));
    });
    return host;
  }

  send(frame) { this.socket.send(JSON.stringify(frame)); }
  event(event, more = {}) { this.send({ type: 'event', session: SESSION, prev: this.seq, seq: ++this.seq, event, ...more }); }
  state() {
    this.send({ type: 'state', session: SESSION, seq: this.seq, info, messages: this.messages, turn: this.turn, requests: this.requests });
  }
  request(data) {
    const request = { requested_by: SESSION, permission: true, subject: 'bash', detail: 'ls', always: [], created_at: 1, ...data };
    this.requests.push(request);
    this.event({ type: 'request', request });
  }
  close(id) {
    this.requests = this.requests.filter((request) => request.id !== id);
    this.event({ type: 'request_closed', request: id });
  }
  /** A whole message. */
  say(id, role, contents, more = {}) {
    this.event({ type: 'message', message: { id, role, created_at: this.now + this.seq, client_id: role === 'user' ? `of-${id}` : undefined, ...more } });
    contents.forEach((content, n) => this.event(
      { type: 'part', part: { id: `${id}-${n}`, message: id, revision: 1, closed: true, content } }, content.html ? { html: content.html } : {}));
  }
  hear(frame) {
    if (frame.type !== 'ping') this.heard.push(frame);
    if (frame.type === 'hello') {
      this.send({ type: 'welcome', protocol: 3, version: 'test', account: ACCOUNT, assets: '', now: this.now });
      this.send({ type: 'backend', backend: { plugin: 'chat-opencode', title: 'opencode', version: '1', example: false, features: [], missing: null, pending_action: null, storage_error: null, state: 'up' }, html: '' });
      this.send({ type: 'list', sessions: [{ ...info, backend: 'chat-opencode' }] });
      if (frame.session) this.state();
    }
    if (frame.type === 'create') this.send({ type: 'created', id: frame.id, session: info });
    if (['continue', 'cancel', 'take_back'].includes(frame.type)) this.send({ type: 'done', id: frame.id });
    if (frame.type === 'subscribe') this.state();
    if (frame.type === 'prompt' && this.consent && !frame.consent) {
      this.send({ type: 'consent', client_id: frame.client_id, consent: 'yes', text: `${this.consent} ${frame.text}` });
    } else if (frame.type === 'prompt') this.send({ type: 'admitted', client_id: frame.client_id, duplicate: false });
    if (frame.type === 'ping') this.send({ type: 'pong' });
    if (frame.type === 'reply') {
      this.replies.push([frame.request, frame.answer]);
      this.send({ type: 'done', id: frame.id });
      if (this.closes) this.close(frame.request);
    }
  }
}

export const signUp = async (page) => {
  await page.goto(world.setup);
  await page.locator('input[name^=field-][type=text]').fill(ACCOUNT);
  for (const input of await page.locator('input[type=password]').all()) await input.fill(PASSWORD);
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.locator('#prompt').waitFor();
};

export const begin = async (page) => {
  await page.goto(world.url);
  await page.fill('#prompt', 'Begin.');
  await page.click('#send');
  await until('the chat is made', () => page.url().endsWith(SESSION));
};
