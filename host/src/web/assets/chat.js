// The conversation: draws what the live connection says, sends what the user says.
// Text of the open tail is text; HTML comes from the server only, sanitised, and only through setHtml.

import { Dock, permission } from './asks.js';
import { $, el, setHtml, spoken, store, uuid } from './dom.js';
import { draw, drawText, isSeen, noteOf, shell, until } from './draw.js';
import { careful, press } from './guard.js';
import { Live } from './live.js';

export function start() {
  const app = document.querySelector('.app');
  const log = $('log'), scroll = $('scroll'), box = $('prompt'), notice = $('notice'), stop = $('stop');
  const tail = el('div', { className: 'tail' });
  let session = app.dataset.session;
  let last = null, turn = { type: 'idle' }, ticking = null;
  // What the host's clock says more than this one; whether an answer ended while nobody looked at the tab.
  let skew = 0, finished = false;
  const messages = new Map(), parts = new Map(), requests = new Map();
  let pending = [];
  // The backend's phase, and whether a first message waits for it to be up.
  let phase = null, eager = false;
  // The plugin that runs, and the one this chat is of.
  let plugin = null, owner = null, foreign = false;

  // ---- small things ------------------------------------------------------------------------------------------

  // Where the focus goes when what had it is gone.
  const home = () => (home.visible() ? box : scroll).focus();
  home.visible = () => !foreign && box.offsetParent !== null;
  const say = (text) => { $('say').textContent = text; };
  // `passing`: it is said because the backend is away, and no longer true when that is back.
  const tell = (text, calm = false, passing = false) => {
    notice.hidden = !text;
    notice.textContent = text ?? '';
    notice.classList.toggle('calm', calm);
    notice.classList.toggle('passing', passing);
  };
  const longest = Number(app.dataset.longest);
  // Why a message cannot be sent at all; null: it can.
  const tooLong = (text) => {
    const size = new TextEncoder().encode(text).length;
    return size > longest ? `This message has ${Math.ceil(size / 1024)} KiB; at most ${longest / 1024} can be sent.` : null;
  };
  const key = (name) => `${name}:${session || 'new'}`;
  const title = (text) => text || 'Untitled chat';

  let stick = true;
  scroll.addEventListener('scroll', () => {
    stick = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
    $('latest').hidden = stick;
  }, { passive: true });
  $('latest').onclick = () => { stick = true; follow(); home(); };
  let queued = false;
  const follow = () => {
    if (queued || !stick) return;
    queued = true;
    requestAnimationFrame(() => { queued = false; scroll.scrollTop = scroll.scrollHeight; });
  };

  // A turned phone or an opened keyboard must not push the end of the conversation out of sight.
  new ResizeObserver(follow).observe(scroll);

  // Sends a request and calls back with its answer; says so where it cannot be sent.
  function ask(frame, then, failed) {
    const request = uuid();
    requests.set(request, { then, failed });
    if (!live.send({ ...frame, request })) {
      requests.delete(request);
      tell('Not connected. Try again in a moment.');
      failed?.();
    }
  }

  // ---- messages and parts ------------------------------------------------------------------------------------

  function clear() {
    messages.clear(); parts.clear();
    log.replaceChildren(tail);
  }

  function putMessage(data) {
    let message = messages.get(data.id);
    if (!message) {
      const mine = data.role === 'user';
      const body = el('div', { className: 'body' }), foot = el('div', { className: 'foot' });
      const node = el('article', { className: `message ${data.role}` },
        el('h2', { className: 'vh', textContent: mine ? 'You' : 'Answer' }), body, foot);
      message = { node, body, foot, parts: [] };
      messages.set(data.id, message);
      log.insertBefore(node, tail);
    }
    message.data = data;
    drawFoot(message);
    drawNode(message);
    // The host shows a prompt before the backend has taken it, and takes it back where it is refused.
    if (data.role === 'user' && !isLocal(data)) settleBubble(data.client_id);
    drawTail();
  }

  function drawFoot(message) {
    const { error, interrupted } = message.data;
    message.foot.replaceChildren();
    // What a stop by the user leaves behind is no failure.
    if (error === 'Aborted') message.foot.append(el('p', { className: 'mark', textContent: 'Stopped.' }));
    else if (error) {
      message.foot.append(el('p', { className: 'alert', textContent: error }));
      // It may have come before, as an error of the whole turn.
      for (const alert of log.querySelectorAll(':scope > .passing')) if (alert.textContent === error) alert.remove();
    }
    if (interrupted) message.foot.append(el('p', { className: 'mark', textContent: 'Interrupted.' }));
  }

  function putPart(data, html) {
    let part = parts.get(data.id);
    if (part && data.revision <= part.data.revision && !(html && !part.html)) return;
    const message = messages.get(data.message);
    if (!message) return;
    const kind = data.content.type;
    if (!part || part.data.content.type !== kind) {
      const fresh = { id: data.id, kind, ...shell(kind) };
      if (part) part.node.replaceWith(fresh.node); else message.body.append(fresh.node);
      part = fresh;
      parts.set(data.id, part);
      if (!message.parts.includes(data.id)) message.parts.push(data.id);
    }
    part.data = data;
    part.html = html;
    drawPart(part, message.data.role === 'user' ? undefined : html);
    drawNode(message);
    follow();
  }

  const drawPart = (part, html) => draw[part.kind]?.(part, html, (id) => dock.waits(id));

  // A message that nothing is to be seen of has no bubble; one of notes alone is a line of the conversation.
  function drawNode({ node, data, parts: ids }) {
    const all = ids.map((id) => parts.get(id)).filter(Boolean);
    node.hidden = all.length > 0 && !data.error && !data.interrupted && !all.some((part) => isSeen(part.data));
    node.classList.toggle('note', all.length > 0 && all.every((part) => part.kind === 'other') && all.some((part) => noteOf(part.data.content)));
  }

  function addDelta({ part: id, revision, text }) {
    const part = parts.get(id);
    if (!part?.text || revision <= part.data.revision) return;
    // It was taken for the end of an interrupted answer, which goes on after all.
    if (!part.tail) drawText(part);
    part.data.revision = revision;
    part.data.content.text += text;
    part.tail.appendData(text);
    follow();
  }

  function removePart(id) {
    parts.get(id)?.node.remove();
    parts.delete(id);
  }

  // ---- requests of the agent ---------------------------------------------------------------------------------

  const dock = new Dock({
    app, place: $('dock'), session: () => session, home,
    answer: (id, answer, failed) => ask({ type: 'reply', session, ask: id, answer }, null, failed),
    changed() {
      for (const part of parts.values()) if (part.kind === 'tool' && part.data.content.state === 'running') drawPart(part);
      drawTitle();
      follow();
    },
  });

  function putAsk(data) {
    dock.put(data);
    say(`The agent waits for you: ${permission(data.subject)[0]}. ${data.detail}`.slice(0, 300));
  }

  // ---- the tail: what goes on now ----------------------------------------------------------------------------

  const lastMessage = () => [...messages.values()].at(-1);

  function setTurn(next) {
    const was = turn.type;
    turn = next;
    // What went wrong before, outside any message, is over.
    if (was !== 'running' && next.type === 'running') log.querySelectorAll(':scope > .passing').forEach((alert) => alert.remove());
    if (was !== 'idle' && next.type === 'idle') {
      const answer = lastMessage()?.parts.map((id) => parts.get(id)).findLast((part) => part?.kind === 'text');
      say('Answer finished. ' + (answer ? spoken(answer.text) : '').slice(0, 500));
      finished = document.hidden;
      drawTitle();
    }
    if (next.type === 'interrupted') say('The answer was interrupted. It can be continued.');
    drawTail();
  }

  function drawTail() {
    clearInterval(ticking);
    const busy = !foreign && (turn.type === 'running' || turn.type === 'retrying');
    stop.hidden = !busy;
    app.classList.toggle('busy', busy);
    tail.replaceChildren();
    const spinner = () => el('span', { className: 'spinner', 'aria-hidden': 'true' });
    // A backend that is away does not work; its own line says that it comes back.
    if (busy && phase === 'up' && turn.type === 'running') tail.append(el('p', { className: 'working' }, spinner(), dock.size ? 'Waiting for you' : 'Working'));
    if (busy && turn.type === 'retrying') {
      const when = el('span');
      const tick = () => {
        when.textContent = `Trying again ${until((turn.next_at ?? 0) - Date.now() - skew)} (attempt ${turn.attempt}).`;
      };
      tick();
      ticking = setInterval(tick, 1000);
      tail.append(el('div', { className: 'alert warn' }, el('p', { textContent: turn.message }), el('p', {}, spinner(), when)));
    }
    if (!busy && (turn.type === 'interrupted' || lastMessage()?.data.interrupted)) {
      const go = foreign ? null : el('button', { type: 'button', className: 'primary', textContent: 'Continue' });
      if (go) {
        careful(go);
        press(go, () => {
          box.focus();
          go.disabled = true;
          if (turn.type !== 'interrupted') return prompt('Please continue exactly where you stopped.');
          ask({ type: 'continue', session }, null, () => { go.disabled = false; });
        });
      }
      tail.append(el('div', { className: 'alert warn' },
        el('p', { textContent: 'This answer was interrupted. What arrived is kept.' }), ...(go ? [go] : [])));
    }
    for (const item of pending) {
      item.node ??= bubble(item);
      if (isShown(item)) item.node.remove(); else tail.append(item.node);
    }
    const empty = !messages.size && !pending.length && !busy;
    log.classList.toggle('blank', empty);
    if (empty && (!session || last !== null)) {
      tail.append(el('div', { className: 'empty' }, el('h2', { textContent: 'What should be done?' }),
        el('p', {}, 'Work is done in ', el('code', { textContent: app.dataset.workspace }), ' on the machine that runs Nexus. Answers arrive as they are written, and wait here if you leave.')));
    }
    follow();
  }

  const isLocal = ({ id, client_id }) => id === `local-${client_id}`;
  const isShown = (item) => messages.has(`local-${item.client_id}`);

  // ---- prompts: kept until the backend has them --------------------------------------------------------------

  const keep = () => store.set(key('pending'), pending.filter((item) => !item.admitted).map(({ client_id, text }) => ({ client_id, text })));

  function bubble(item) {
    item.line = el('p', { className: 'mark', textContent: item.admitted ? '' : 'Sending…' });
    return el('article', { className: 'message user sending' }, el('h2', { className: 'vh', textContent: 'You' }),
      el('div', { className: 'body' }, el('div', { className: 'text open', dir: 'auto', textContent: item.text })), item.line);
  }

  function prompt(text) {
    const item = { client_id: uuid(), text, tries: 0 };
    pending.push(item);
    keep();
    stick = true;
    drawTail();
    transmit(item);
  }

  function transmit(item) {
    if (!live.send({ type: 'prompt', session, client_id: item.client_id, text: item.text, consent: item.consent ?? null })) {
      item.line.textContent = 'Not connected. It is sent as soon as the connection is back.';
    }
  }

  function forget(item) {
    clearTimeout(item.timer);
    item.node?.remove();
    pending = pending.filter((other) => other !== item);
    keep();
    drawTail();
  }

  // A message of the user arrived: it takes the place of its bubble.
  function settleBubble(clientId) {
    const item = clientId ? pending.find((one) => one.client_id === clientId) : pending.find((one) => one.admitted);
    if (item) forget(item);
  }

  function giveBack(item, reason) {
    forget(item);
    if (!box.value) write(item.text);
    tell(reason);
  }

  // One after the other: a text never changes under the pointer of who agrees to it.
  const consents = [], agreeing = careful($('consent').querySelector('[value=yes]'));

  function askConsent(item, frame) {
    if (consents.push({ item, frame }) === 1) nextConsent();
  }

  function nextConsent() {
    const dialog = $('consent'), [{ item, frame }] = consents;
    $('consent-text').textContent = frame.text;
    dialog.returnValue = '';
    dialog.onclose = () => {
      const agreed = dialog.returnValue === 'yes';
      consents.shift();
      if (consents.length) nextConsent();
      if (!agreed) return giveBack(item, 'Not sent.');
      item.consent = frame.consent;
      transmit(item);
    };
    agreeing.restart();
    dialog.showModal();
  }

  // ---- frames ------------------------------------------------------------------------------------------------

  const events = {
    session: ({ info }) => setTitle(info.title),
    session_removed: () => ended('This chat was deleted.'),
    message: ({ message }) => putMessage(message),
    message_removed: ({ message }) => {
      messages.get(message)?.parts.forEach((id) => parts.delete(id));
      messages.get(message)?.node.remove();
      messages.delete(message);
      drawTail();
    },
    part: ({ part }, html) => putPart(part, html),
    delta: addDelta,
    part_removed: ({ part }) => removePart(part),
    asked: ({ ask: data }) => { putAsk(data); drawTail(); },
    ask_closed: ({ ask: id }) => { dock.close(id); drawTail(); },
    turn: ({ turn: next }) => setTurn(next),
    error: ({ message, text }) => {
      const known = messages.get(message);
      if (known) { known.data.error = text; drawFoot(known); }
      else if (lastMessage()?.data.error !== text) log.insertBefore(el('p', { className: 'alert passing', role: 'alert', textContent: text }), tail);
      follow();
    },
  };

  const byClient = (id) => pending.find((item) => item.client_id === id);

  const frames = {
    welcome({ now }) {
      if (now) skew = now - Date.now();
      pending.filter((item) => !item.admitted).forEach(transmit);
    },
    state(state) {
      if (state.session !== session) return;
      last = state.seq;
      const admitted = pending.filter((item) => item.admitted);
      clear();
      if (state.truncated) log.insertBefore(el('p', { className: 'help center', textContent: 'Older messages are not shown.' }), tail);
      admitted.forEach(forget);
      for (const { message, parts: list } of state.messages) {
        putMessage(message);
        for (const { html, ...part } of list) putPart(part, html);
      }
      dock.sync(state.asks);
      turn = state.turn;
      setTitle(state.info.title);
      drawTail();
    },
    event(frame) {
      if (frame.session !== session || (last !== null && frame.seq <= last)) return;
      // Something between is missing: get it, rather than guess.
      if (last === null || frame.prev > last) return void live.send({ type: 'subscribe', session, from: last });
      last = frame.seq;
      events[frame.event.type]?.(frame.event, frame.html);
    },
    ended(frame) {
      if (frame.session !== session) return;
      if (frame.again) setTimeout(() => live.send({ type: 'subscribe', session, from: last }), 500);
      else ended(frame.reason);
    },
    list: ({ sessions }) => drawList(sessions),
    backend({ backend, html }) {
      const was = phase;
      phase = backend.phase;
      if (was !== phase) drawTail();
      if (phase === 'up' && notice.classList.contains('passing')) tell(null);
      plugin = backend.plugin;
      drawOwner();
      if (phase === 'up' && eager) $('composer').requestSubmit();
      $('backend').textContent = [backend.title, backend.version].filter(Boolean).join(' ');
      const banners = $('banners');
      if (banners.dataset.was !== html) { banners.dataset.was = html; setHtml(banners, html); }
    },
    admitted({ client_id }) {
      const item = byClient(client_id);
      if (!item) return;
      if (isShown(item)) { forget(item); return tell(null); }
      item.admitted = true;
      item.line.textContent = '';
      keep();
      tell(null);
    },
    refused({ client_id, reason }) { const item = byClient(client_id); if (item) giveBack(item, reason); },
    deferred({ client_id, reason }) {
      const item = byClient(client_id);
      if (!item) return;
      const wait = Math.min(15_000, 1000 * 2 ** item.tries++);
      const give = el('button', { type: 'button', className: 'plain', textContent: 'Do not send' });
      give.onclick = () => giveBack(item, 'Taken back. It may have arrived all the same.');
      item.line.replaceChildren(`Not sent yet: ${reason} Trying again. `, give);
      clearTimeout(item.timer);
      item.timer = setTimeout(() => transmit(item), wait);
    },
    consent(frame) { const item = byClient(frame.client_id); if (item) askConsent(item, frame); },
    created: (frame) => settle(frame, frame.session),
    done: (frame) => settle(frame),
    failed(frame) {
      const request = requests.get(frame.request);
      requests.delete(frame.request);
      tell(frame.reason, false, phase !== 'up');
      request?.failed?.(frame.reason);
    },
  };

  function settle({ request }, value) {
    requests.get(request)?.then?.(value);
    requests.delete(request);
  }

  function ended(reason) {
    clear();
    dock.sync([]);
    turn = { type: 'idle' };
    drawTail();
    tail.replaceChildren(el('div', { className: 'empty' }, el('h2', { textContent: reason }), el('p', {}, el('a', { href: '/', textContent: 'Start a new chat' }))));
    $('composer').hidden = true;
  }

  function setTitle(text) {
    $('title').textContent = title(text);
    drawTitle();
    // What is being typed there stays.
    $('rename').defaultValue = text ?? '';
  }

  // The tab says what waits, and that an answer is finished which nobody has looked at.
  function drawTitle() {
    const what = dock.size ? `● ${dock.size} waiting · ` : finished ? '✓ ' : '';
    document.title = `${what}${$('title').textContent} · Nexus`;
  }
  document.addEventListener('visibilitychange', () => { if (!document.hidden) { finished = false; drawTitle(); } });

  function drawList(sessions) {
    const list = $('list'), focused = list.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
    list.replaceChildren(...sessions.map((info) => {
      const link = el('a', { href: '/s/' + encodeURIComponent(info.id), dir: 'auto', textContent: title(info.title) });
      if (info.id === session) link.setAttribute('aria-current', 'page');
      return el('li', {}, link);
    }));
    $('list-empty').hidden = sessions.length > 0;
    if (focused) [...list.querySelectorAll('a')].find((link) => link.getAttribute('href') === focused)?.focus();
    const mine = sessions.find((info) => info.id === session);
    if (mine) setTitle(mine.title);
    owner = mine?.backend ?? null;
    drawOwner();
  }

  // A chat of another backend stays readable; only its own can go on with it.
  function drawOwner() {
    const was = foreign;
    // What is starting may still turn out to be missing.
    foreign = phase !== 'starting' && plugin !== null && owner !== null && plugin !== owner;
    const focused = $('composer').contains(document.activeElement);
    app.classList.toggle('foreign', foreign);
    $('foreign').hidden = !foreign;
    if (foreign) $('foreign').textContent = `This chat was held with ${owner}; ${plugin} is in use now. It can be read, and goes on when ${owner} is back.`;
    if (was === foreign) return;
    drawTail();
    if (foreign && focused) home();
  }

  // ---- the composer ------------------------------------------------------------------------------------------

  const touch = matchMedia('(pointer: coarse)').matches;
  if (touch) box.enterKeyHint = 'enter';
  const grow = () => { box.rows = Math.min(10, Math.max(1, box.value.split('\n').length)); };
  const write = (text) => { box.value = text; store.set(key('draft'), text); grow(); };

  box.addEventListener('input', () => { store.set(key('draft'), box.value); grow(); tell(null); eager = false; });
  box.addEventListener('keydown', (event) => {
    // A keyboard on the screen has no Shift+Enter: there Enter makes a line, and the button sends.
    const sends = event.ctrlKey || event.metaKey || !(event.shiftKey || touch);
    // Safari ends a composition before the Enter that chose its word; the old code of that key still tells them apart.
    if (event.key !== 'Enter' || !sends || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    // A key that is held sends once, and not what is written meanwhile.
    if (event.repeat) return;
    $('composer').requestSubmit();
  });
  $('composer').addEventListener('submit', (event) => {
    event.preventDefault();
    const text = box.value.trim();
    if (!text) return box.focus();
    if (tooLong(text)) return tell(tooLong(text));
    tell(null);
    eager = false;
    if (session) { write(''); return prompt(text); }
    // The first message makes the chat. Until it exists the text stays where it is.
    box.focus();
    if (phase === 'starting' || phase === 'reconnecting') {
      eager = true;
      return tell('It is sent as soon as the backend is ready.', true);
    }
    $('send').disabled = true;
    ask({ type: 'create', title: null }, (info) => {
      write('');
      $('send').disabled = false;
      session = info.id;
      const path = '/s/' + encodeURIComponent(session);
      history.replaceState(null, '', path);
      for (const form of document.querySelectorAll('form[data-action]')) form.action = `${path}/${form.dataset.action}`;
      $('menu').hidden = false;
      live.send({ type: 'subscribe', session, from: null });
      prompt(text);
    }, () => { $('send').disabled = false; });
  });
  // What is pasted or dropped without any text would vanish without a word.
  for (const kind of ['paste', 'drop']) {
    box.addEventListener(kind, (event) => {
      const data = event.clipboardData ?? event.dataTransfer;
      if (!data?.files.length || data.getData('text/plain')) return;
      event.preventDefault();
      tell('Pictures and files cannot be attached yet. Save the file in the folder of the chat and write its name.');
    });
  }
  stop.addEventListener('click', () => {
    stop.disabled = true;
    ask({ type: 'cancel', session }, () => { stop.disabled = false; }, () => { stop.disabled = false; });
    box.focus();
  });

  // ---- the list on a narrow screen ---------------------------------------------------------------------------

  const drawer = (open) => {
    app.classList.toggle('side-shown', open);
    $('side-open').setAttribute('aria-expanded', String(open));
    (open ? $('side-close') : $('side-open')).focus();
  };
  $('side-open').onclick = () => drawer(true);
  $('side-close').onclick = () => drawer(false);
  addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    if (app.classList.contains('side-shown')) drawer(false);
    if ($('menu').open) { $('menu').open = false; $('menu').querySelector('summary').focus(); }
  });
  $('main').addEventListener('pointerdown', () => {
    if (app.classList.contains('side-shown')) drawer(false);
    $('menu').open = false;
  });

  // ---- go ----------------------------------------------------------------------------------------------------

  clear();
  pending = store.get(key('pending'), []).map((item) => ({ ...item, tries: 0 }));
  drawTail();
  write(box.value || store.get(key('draft'), ''));
  for (const item of pending.filter(({ text }) => tooLong(text))) giveBack(item, tooLong(item.text));
  if (matchMedia('(pointer: fine)').matches) box.focus();

  const link = $('link');
  let slow;
  const live = new Live({
    hello: () => session ? { session, from: last } : {},
    frame: (frame) => frames[frame.type]?.(frame),
    link(up, wait, why) {
      clearTimeout(slow);
      if (up) {
        if (!link.hidden) say('Connected again.');
        link.hidden = true;
        return;
      }
      for (const [id, request] of requests) { requests.delete(id); request.failed?.('The connection was lost.'); }
      // A short break is nobody's business.
      slow = setTimeout(() => {
        link.hidden = false;
        link.textContent = why ? `This page is out of date: ${why}` : 'Connection lost. Reconnecting…';
      }, why ? 0 : 700);
    },
  });
}
