// The chat: draws what the live connection says, sends what the user says.
// Text of the open tail is text; HTML comes from the server only, sanitised, and only through setHtml.

import { Dock, permission } from './requests.js';
import { $, el, explained, setHtml, spoken, store, uuid, refusesFiles, sendsByEnter } from './dom.js';
import { draw, drawText, isNote, isSeen, shell, until } from './draw.js';
import { careful, press } from './guard.js';
import { Live, link } from './live.js';
import { Outbox } from './outbox.js';
import { isLocal, trouble, unanswered, waitingLine, waits, wellFormed } from './prompts.js';
import { drawer, drawList, title } from './side.js';

export function start() {
  const app = document.querySelector('.app');
  const log = $('log'), scroll = $('scroll'), box = $('prompt'), notice = $('notice'), stop = $('stop');
  const tail = el('div');
  let session = app.dataset.session;
  let last = null, turn = { state: 'idle' }, ticking = null;
  // What is older than what is shown; what went wrong outside any message; whether a continuation was asked for.
  let before = null, error = null, continuing = false, backend = 'the backend';
  // Why there is nothing to show and never will be: no such chat, or one that was deleted.
  let gone = null;
  // What the host's clock says more than this one; whether an answer ended while nobody looked at the tab.
  let skew = 0, finished = false;
  const ofNode = new WeakMap(), messages = new Map(), parts = new Map(), requests = new Map();
  // The backend's phase, and whether a first message waits for it to be up.
  let phase = null, eager = false;
  // The plugin that runs, and the one this chat is of.
  let plugin = null, owner = null, foreign = false;

  // ---- small things ------------------------------------------------------------------------------------------

  // Where the focus goes when what had it is gone.
  const home = () => (home.visible() ? box : scroll).focus();
  home.visible = () => !foreign && box.offsetParent !== null;
  const say = (text) => { $('say').textContent = text; };
  // `passing`: it is said because the backend is unavailable, and no longer true when that is back.
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
    return size > longest ? `This message is ${Math.ceil(size / 1024)} KiB long; the limit is ${longest / 1024} KiB.` : null;
  };
  const key = (name) => `${name}:${session || 'new'}`;

  // `seen`: the size in which it was scrolled last. A turned phone breaks lines again, which is nobody's wish to read elsewhere.
  let stick = true, seen = '';
  const shape = () => `${scroll.clientWidth} ${scroll.clientHeight}`;
  scroll.addEventListener('scroll', () => {
    if (stick && seen !== shape()) return follow();
    seen = shape();
    stick = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
    $('latest').hidden = stick;
  }, { passive: true });
  $('latest').onclick = () => { stick = true; follow(); home(); };
  let queued = false;
  const follow = () => {
    if (queued || !stick) return;
    queued = true;
    requestAnimationFrame(() => { queued = false; seen = shape(); scroll.scrollTop = scroll.scrollHeight; });
  };

  // A turned phone or an opened keyboard must not push the end of the chat out of sight.
  new ResizeObserver(follow).observe(scroll);

  // Sends a request and calls back with its answer; says so where it cannot be sent.
  function ask(frame, then, failed) {
    const id = frame.id ?? uuid();
    requests.set(id, { then, failed });
    if (!live.send({ ...frame, id })) {
      requests.delete(id);
      tell('Not connected. Try again in a moment.');
      failed?.();
    }
  }

  // ---- older messages ----------------------------------------------------------------------------------------

  const more = el('button', { type: 'button', textContent: 'Show older messages' });
  const older = el('div', { className: 'center', hidden: true }, more);
  more.onclick = () => {
    more.disabled = true;
    if (!live.send({ type: 'older', session, before })) more.disabled = false;
  };
  function setBefore(cursor) {
    before = cursor ?? null;
    older.hidden = !before;
    more.disabled = false;
  }

  // ---- messages and parts ------------------------------------------------------------------------------------

  function clear() {
    messages.clear(); parts.clear();
    log.replaceChildren(older, tail);
  }

  function putMessage(data) {
    let message = messages.get(data.id);
    if (!message) {
      const mine = data.role === 'user';
      const body = el('div', { className: 'body' }), foot = el('div', { className: 'foot' });
      // What the backend itself says stands where the agent's words do.
      const node = el('article', { className: `message ${mine ? 'user' : 'assistant'}` },
        el('h2', { className: 'vh', textContent: mine ? 'You' : 'Answer' }), body, foot);
      message = { node, body, foot, parts: [] };
      messages.set(data.id, message);
      ofNode.set(node, message);
    }
    message.data = data;
    place(message);
    drawFoot(message);
    drawNode(message);
    // The host shows a prompt before the backend has taken it, and takes it back where it is refused.
    if (data.role === 'user' && !isLocal(data)) outbox.settle(data.client_id);
    drawTail();
  }

  // By its time, as the host has it; what waits comes after all that was said.
  const rank = ({ data }) => (waits(data) ? Infinity : data.created_at);
  function place(message) {
    let at = tail;
    for (let node = tail.previousElementSibling; node; node = node.previousElementSibling) {
      const other = ofNode.get(node);
      if (other === message) continue;
      if (!other || rank(other) <= rank(message)) break;
      at = node;
    }
    if (message.node.nextElementSibling !== at) log.insertBefore(message.node, at);
  }
  // As they are drawn.
  const inOrder = () => [...log.children].map((node) => ofNode.get(node)).filter(Boolean);

  function drawFoot(message) {
    const { error, interrupted } = message.data;
    message.foot.replaceChildren();
    const line = waitingLine(message.data, {
      send: () => sendNow(message),
      remove: () => ask({ type: 'take_back', session, client_id: message.data.client_id }, home),
    });
    if (line) message.foot.append(line);
    // What a stop by the user leaves behind is no failure.
    if (error === 'Aborted') message.foot.append(el('p', { className: 'mark', textContent: 'Stopped.' }));
    else if (error) {
      message.foot.append(trouble(error));
      // It may have come before, as an error of the whole turn.
      setError(error, null);
    }
    if (interrupted) message.foot.append(el('p', { className: 'mark', textContent: 'Interrupted.' }));
  }

  // `missing`: bytes that are not here; the whole is asked for.
  function putPart(data, html, missing, whole = false) {
    let part = parts.get(data.id);
    if (part && data.revision <= part.data.revision && !(html && !part.html) && !whole) return;
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
    drawRest(part, missing);
    drawNode(message);
    // No answer is waited for then.
    if (isNote(data)) drawTail();
    follow();
  }

  const drawPart = (part, html) => draw[part.kind]?.(part, html, (id) => dock.waits(id));

  // A message that nothing is to be seen of has no bubble; one of notes alone is a line of the chat. A prompt or an answer
  // may be here before its first part.
  function drawNode({ node, data, parts: ids }) {
    const all = ids.map((id) => parts.get(id)).filter(Boolean), seen = all.filter((part) => isSeen(part.data));
    node.hidden = !seen.length && !data.error && !data.interrupted && (all.length > 0 || data.role === 'system');
    node.classList.toggle('note', seen.length > 0 && seen.every((part) => isNote(part.data)));
  }

  function drawRest(part, missing) {
    part.rest?.remove();
    Object.assign(part, { missing, rest: null });
    if (!missing) return;
    const rest = part.rest = el('button', { type: 'button', className: 'plain', textContent: `Show all (${Math.ceil(missing / 1024)} KiB more)` });
    rest.onclick = () => { rest.disabled = live.send({ type: 'part', session, part: part.data.id }); };
    (part.inside ?? part.node).append(rest);
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
    answer: (id, answer, failed) => ask({ type: 'reply', session, request: id, answer }, null, failed),
    changed() {
      for (const part of parts.values()) {
        if (part.kind !== 'tool' || part.data.content.state !== 'running') continue;
        drawPart(part);
        drawRest(part, part.missing);
      }
      drawTitle();
      placeStop();
      follow();
    },
  });

  // Where there is no room for the composer beside a request (nexus.css), a turn can be stopped all the same.
  const low = matchMedia('(max-height: 34rem)');
  const placeStop = () => {
    const [before, is] = [low.matches && dock.size ? $('menu') : $('send'), document.activeElement === stop];
    if (stop.nextElementSibling !== before) before.before(stop);
    if (is) stop.focus();
  };
  low.addEventListener('change', placeStop);

  function putAsk(data) {
    dock.put(data);
    const what = data.questions?.length ? data.questions.map(({ text }) => text).join(' ') : `${permission(data.subject)[0]}. ${data.detail}`;
    say(`The agent needs your answer: ${what}`.slice(0, 300));
  }

  // ---- the tail: what goes on now ----------------------------------------------------------------------------

  // The last one that the backend has, or is given.
  const lastMessage = () => inOrder().findLast(({ data }) => !waits(data));

  // What went wrong outside any message; with `only`, where it is that.
  function setError(only, next) {
    if (next === null && (error === null || (only !== undefined && only !== error))) return;
    error = next;
    drawTail();
  }

  function setTurn(next) {
    const was = turn.state;
    turn = next;
    continuing = false;
    // What went wrong before, outside any message, is over.
    if (next.state === 'running') error = null;
    if (was !== 'idle' && next.state === 'idle') {
      const answer = lastMessage()?.parts.map((id) => parts.get(id)).findLast((part) => part?.kind === 'text');
      const failed = error ?? lastMessage()?.data.error;
      say(failed === 'Aborted' ? 'Stopped.' : failed ? `The answer failed: ${failed}`.slice(0, 500)
        : 'Answer finished. ' + (answer ? spoken(answer.text) : '').slice(0, 500));
      finished = document.hidden;
      drawTitle();
    }
    if (next.state === 'interrupted') say('The answer was interrupted. It can be continued.');
    drawTail();
  }

  function drawTail() {
    if (putting) return; // once, when all is there
    clearInterval(ticking);
    const busy = !foreign && (turn.state === 'running' || turn.state === 'retrying');
    stop.hidden = !busy;
    app.classList.toggle('busy', busy);
    tail.replaceChildren();
    clearTimeout(looking);
    if (gone) {
      const fresh = el('p', {}, el('a', { href: '/', textContent: 'Start a new chat' }));
      return tail.append(el('div', { className: 'empty' }, el('h2', { textContent: gone }), fresh));
    }
    const spinner = () => el('span', { className: 'spinner', 'aria-hidden': 'true' });
    // While the backend is unavailable nothing works, whatever the turn was.
    const working = phase !== null && phase !== 'up' ? `Waiting for ${backend} to reconnect` : dock.size ? 'Waiting for your answer' : 'Working';
    if (busy && turn.state === 'running') tail.append(el('p', { className: 'working' }, spinner(), working));
    if (busy && turn.state === 'retrying') {
      const when = el('span');
      const tick = () => {
        when.textContent = `Retrying ${until((turn.next_at ?? 0) - Date.now() - skew)} (attempt ${turn.attempt}).`;
      };
      tick();
      ticking = setInterval(tick, 1000);
      tail.append(el('div', { className: 'alert warning' }, el('p', { textContent: turn.cause }), el('p', {}, spinner(), when)));
    }
    const newest = lastMessage();
    const open = !busy && !foreign && newest?.data.role === 'user' && !newest.data.error && !newest.node.classList.contains('note') && outbox.items.every(isShown);
    if (error !== null) {
      tail.append(trouble(error));
      if (open) tail.append(el('div', { className: 'row' }, again(newest)));
    } else if (open) {
      const ago = Date.now() + skew - (newest.data.completed_at ?? newest.data.created_at);
      tail.append(unanswered({
        last: newest.data, ago, title: backend, up: phase === null || phase === 'up', again: () => resend(newest),
        later: (ms) => { looking = setTimeout(drawTail, ms + 50); },
      }));
    } else if (!busy && isSilent(newest)) {
      tail.append(el('p', { className: 'mark', textContent: 'The model returned an empty answer.' }));
    }
    if (!busy && !open && (turn.state === 'interrupted' || newest?.data.interrupted)) {
      const go = foreign ? null : el('button', { type: 'button', className: 'primary', textContent: 'Continue' });
      if (go) {
        if (continuing) go.disabled = true; else careful(go);
        press(go, () => {
          box.focus();
          continuing = go.disabled = true;
          if (turn.state !== 'interrupted') return prompt('Please continue exactly where you stopped.');
          ask({ type: 'continue', session }, null, () => { continuing = go.disabled = false; });
        });
      }
      tail.append(el('div', { className: 'alert warning' },
        el('p', { textContent: 'This answer was interrupted. The part that arrived is kept.' }), ...(go ? [go] : [])));
    }
    outbox.draw(tail);
    const empty = !messages.size && !outbox.items.length && !busy;
    log.classList.toggle('blank', empty);
    if (empty && session && last === null) tail.append(el('p', { className: 'working' }, spinner(), 'Loading the chat'));
    if (empty && (!session || last !== null)) {
      tail.append(el('div', { className: 'empty' }, el('h2', { textContent: 'What would you like to do?' }),
        el('p', {}, 'The agent works in ', el('code', { textContent: app.dataset.workspace }), ' on the machine that runs Nexus. Answers are streamed and saved, so you can leave and come back.')));
    }
    follow();
  }

  // An answer that has ended, and of which nothing is to be seen.
  const isSilent = (message) => message?.data.role === 'assistant' && message.data.completed_at && !message.data.error
    && !message.data.interrupted && !message.parts.some((id) => {
      const content = parts.get(id)?.data.content;
      return content && (content.type === 'text' || content.type === 'reasoning' ? content.text.trim() : content.type !== 'other');
    });
  const resend = (message) => {
    const part = message.parts.map((id) => parts.get(id)).find((one) => one?.kind === 'text');
    box.focus();
    if (part?.missing) tell('Only the beginning of this message is loaded. Press “Show all” below it, then send it again.');
    else if (part) prompt(part.data.content.text);
  };
  const again = (message) => el('button', { type: 'button', className: 'primary', textContent: 'Send again', onclick: () => resend(message) });
  let looking = null, putting = false;
  const isShown = (item) => messages.has(`local-${item.client_id}`);

  // ---- prompts: kept until the backend has them --------------------------------------------------------------

  const outbox = new Outbox({
    session: () => session, send: (frame) => live.send(frame), isShown, tell, changed: () => drawTail(),
    restore: (text) => { if (!box.value) write(text); },
  });

  function prompt(text) {
    stick = true;
    outbox.prompt(text);
  }

  function sendNow({ data, parts: [first] }) {
    outbox.now(data.client_id, parts.get(first)?.data.content.text ?? '');
    box.focus();
  }

  // ---- frames ------------------------------------------------------------------------------------------------

  const events = {
    session: ({ info }) => setTitle(info.title),
    session_removed: () => ended('This chat was deleted.'),
    // One that is older than what is shown comes with the older ones.
    message: ({ message }) => {
      const first = inOrder()[0];
      if (before && !messages.has(message.id) && first && message.created_at < first.data.created_at) return;
      putMessage(message);
    },
    message_removed: ({ message }) => {
      messages.get(message)?.parts.forEach((id) => parts.delete(id));
      messages.get(message)?.node.remove();
      messages.delete(message);
      drawTail();
    },
    part: ({ part }, html, missing) => putPart(part, html, missing),
    delta: addDelta,
    part_removed: ({ part }) => removePart(part),
    request: ({ request: data }) => { putAsk(data); drawTail(); },
    request_closed: ({ request: id }) => { dock.close(id); drawTail(); },
    turn: ({ turn: next }) => setTurn(next),
    error: ({ message, text }) => {
      const known = messages.get(message);
      if (known) { known.data.error = text; drawFoot(known); }
      else if (lastMessage()?.data.error !== text) { setError(undefined, text); say(text); }
      follow();
    },
  };

  const frames = {
    ...outbox.frames,
    welcome({ now }) {
      if (now) skew = now - Date.now();
      outbox.items.filter((item) => !item.admitted).forEach((item) => outbox.transmit(item));
    },
    state(state) {
      if (state.session !== session) return;
      last = state.seq;
      const admitted = outbox.items.filter((item) => item.admitted);
      clear();
      admitted.forEach((item) => outbox.forget(item));
      put(state.messages);
      setBefore(state.before);
      dock.sync(state.requests);
      turn = state.turn;
      continuing = false;
      error = state.error?.text ?? null;
      setTitle(state.info.title);
      drawTail();
    },
    older(frame) {
      if (frame.session !== session) return;
      // What was being read stays where it is.
      const height = scroll.scrollHeight - scroll.scrollTop;
      put(frame.messages);
      setBefore(frame.before);
      scroll.scrollTop = scroll.scrollHeight - height;
    },
    part({ session: of, part: { html, ...part } }) {
      if (of === session) putPart(part, html, 0, true);
    },
    request({ session: of, request }) { if (of === session) dock.put(request); },
    invalid: (frame) => { more.disabled = false; tell(explained(frame)); },
    event(frame) {
      if (frame.session !== session || (last !== null && frame.seq <= last)) return;
      // Something between is missing: get it, rather than guess.
      if (last === null || frame.prev > last) return void live.send({ type: 'subscribe', session, from: last });
      last = frame.seq;
      events[frame.event.type]?.(frame.event, frame.html, frame.truncated_bytes);
    },
    ended(frame) {
      if (frame.session !== session) return;
      if (frame.resubscribe) setTimeout(() => live.send({ type: 'subscribe', session, from: last }), 500);
      else ended(explained(frame));
    },
    list({ sessions, more: others }) {
      drawList({ session, sessions, others: others ?? 0, more: (count) => live.send({ type: 'list', count }) });
      const mine = sessions.find((info) => info.id === session);
      if (mine) setTitle(mine.title);
      owner = mine?.backend ?? null;
      drawOwner();
    },
    backend({ backend: now, html }) {
      const was = phase;
      phase = now.state;
      backend = now.title;
      if (was !== phase) drawTail();
      if (phase === 'up' && notice.classList.contains('passing')) tell(null);
      plugin = now.plugin;
      drawOwner();
      drawTail();
      if (phase === 'up' && eager) $('composer').requestSubmit();
      $('backend').textContent = [now.title, now.version].filter(Boolean).join(' ');
      const banners = $('banners');
      if (banners.dataset.was !== html) { banners.dataset.was = html; setHtml(banners, html); }
    },
    created: (frame) => settle(frame, frame.session),
    done: (frame) => settle(frame),
    failed(frame) {
      const request = requests.get(frame.id);
      requests.delete(frame.id);
      tell(explained(frame), false, phase !== 'up');
      request?.failed?.(explained(frame));
    },
  };

  function put(list) {
    putting = true;
    for (const { message, parts: all } of list) {
      putMessage(message);
      for (const { html, truncated_bytes: missing, ...part } of all) putPart(part, html, missing);
    }
    putting = false;
    drawTail();
  }

  function settle({ id }, value) {
    requests.get(id)?.then?.(value);
    requests.delete(id);
  }

  function ended(cause) {
    clear();
    dock.sync([]);
    turn = { state: 'idle' };
    gone = cause;
    drawTail();
    say(cause);
    $('composer').hidden = $('menu').hidden = true;
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

  // A chat of another backend stays readable; only its own can go on with it.
  function drawOwner() {
    const was = foreign;
    // What is starting may still turn out to be missing.
    foreign = phase !== 'starting' && plugin !== null && owner !== null && plugin !== owner;
    const focused = $('composer').contains(document.activeElement);
    app.classList.toggle('foreign', foreign);
    $('foreign').hidden = !foreign;
    if (foreign) $('foreign').textContent = `This chat belongs to the chat backend ${owner}, but ${plugin} is active. You can read it; to continue it, replace the chat backend with ${owner} on the status page.`;
    if (was === foreign) return;
    drawTail();
    if (foreign && focused) home();
  }

  // The request that makes this chat: asked for again after a break, it makes the same one.
  let creating = null;

  // ---- the composer ------------------------------------------------------------------------------------------

  const touch = matchMedia('(pointer: coarse)').matches;
  if (touch) box.enterKeyHint = 'enter';
  const grow = () => { box.rows = Math.min(10, Math.max(1, box.value.split('\n').length)); };
  const write = (text) => { box.value = text; store.set(key('draft'), text); grow(); };

  box.addEventListener('input', () => { store.set(key('draft'), box.value); grow(); tell(null); eager = false; });
  sendsByEnter(box, touch, () => $('composer').requestSubmit());
  $('composer').addEventListener('submit', (event) => {
    event.preventDefault();
    const text = wellFormed(box.value.trim());
    if (!text) return box.focus();
    if (tooLong(text)) return tell(tooLong(text));
    tell(null);
    eager = false;
    if (session) { write(''); return prompt(text); }
    // The first message makes the chat. Until it exists the text stays where it is.
    box.focus();
    if (!live.up) {
      eager = true;
      return tell('Not connected. The message will be sent when the connection is restored.', true);
    }
    if (phase === 'starting' || phase === 'reconnecting') {
      eager = true;
      return tell('The message will be sent as soon as the backend is ready.', true);
    }
    $('send').disabled = true;
    ask({ type: 'create', title: null, id: creating ??= uuid() }, (info) => {
      creating = null;
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
  refusesFiles(box, () => tell('Images and files cannot be attached yet. Save the file in the workspace and mention its name.'));
  stop.addEventListener('click', () => {
    stop.disabled = true;
    ask({ type: 'cancel', session }, () => { stop.disabled = false; }, () => { stop.disabled = false; });
    box.focus();
  });

  // ---- go ----------------------------------------------------------------------------------------------------

  clear();
  drawer(app);
  outbox.resume();
  drawTail();
  write(box.value || store.get(key('draft'), ''));
  for (const item of outbox.items.filter(({ text }) => tooLong(text))) outbox.giveBack(item, tooLong(item.text));
  if (matchMedia('(pointer: fine)').matches) box.focus();

  const told = link(say);
  const live = new Live({
    hello: () => session ? { session, from: last } : {},
    frame: (frame) => frames[frame.type]?.(frame),
    link(up, why, hint) {
      if (!up) for (const [id, request] of requests) { requests.delete(id); request.failed?.('The connection was lost.'); }
      told(up, why, hint);
    },
  });
}
