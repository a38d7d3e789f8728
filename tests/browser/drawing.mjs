// What a chat looks like: text of every script, tools, notes, errors, times.

import assert from 'node:assert/strict';
import { Host, begin, signUp } from './host.mjs';
import { device, look, run, until } from './kit.mjs';

await run(async (browser) => {
  const page = await device(browser);
  const host = await Host.of(page);
  host.turn = { state: 'idle' };
  await signUp(page);
  await begin(page);
  const text = (text, html) => ({ type: 'text', text, html });

  // ---- writing ---------------------------------------------------------------------------------------------------
  const prompts = () => host.heard.filter(({ type }) => type === 'prompt');
  // The chat is made a moment before its first message is sent.
  await until('the first message is sent', () => prompts().length === 1);
  host.heard = [];
  const key = (init) => page.locator('#prompt').evaluate((box, init) =>
    box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...init })), init);
  await page.fill('#prompt', '日本語');
  // Safari: the composition has ended already when the Enter that chose the word comes.
  await key({ keyCode: 229 });
  // Chrome and Firefox: it has not.
  await key({ isComposing: true });
  assert.equal(await page.inputValue('#prompt'), '日本語');
  assert.deepEqual(prompts(), []);
  // A held key sends once, and nothing that is written while it is held.
  await page.locator('#prompt').focus();
  await page.keyboard.down('Enter');
  await page.fill('#prompt', 'not finished');
  for (let n = 0; n < 20; n++) await page.keyboard.down('Enter');
  await page.keyboard.up('Enter');
  await until('it is sent', () => prompts().length);
  assert.deepEqual(prompts().map((frame) => frame.text), ['日本語']);
  assert.equal(await page.inputValue('#prompt'), 'not finished');
  await page.fill('#prompt', 'مرحبا');
  assert.equal(await page.locator('#prompt').evaluate((box) => getComputedStyle(box).direction), 'rtl');
  await page.fill('#prompt', '');
  await page.locator('#prompt').evaluate((box) => {
    const data = new DataTransfer();
    data.items.add(new File(['x'], 'shot.png', { type: 'image/png' }));
    box.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
  });
  await page.locator('#notice', { hasText: 'takes no files' }).waitFor();
  await page.locator('#prompt').pressSequentially('x');
  await page.fill('#prompt', '');

  // ---- direction: each block in its own ----------------------------------------------------------------------------
  host.say('ar', 'assistant', [text('', '<h3>العنوان</h3><p>مرحبا بالعالم.</p><p>Hello.</p><ul><li>واحد</li></ul><pre><code>مرحبا = 1</code></pre>')]);
  await page.locator('.md').last().waitFor();
  const blocks = await page.locator('.md').last().evaluate((md) => [...md.querySelectorAll('h3, p, ul, pre')].map((node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = node.getBoundingClientRect(), ink = range.getBoundingClientRect();
    return [node.tagName, Math.abs(ink.right - box.right) < Math.abs(ink.left - box.left) ? 'right' : 'left'];
  }));
  assert.deepEqual(blocks.filter(([tag]) => tag !== 'PRE' && tag !== 'UL').map(([, side]) => side), ['right', 'right', 'left']);
  assert.equal(await page.locator('.md ul').last().evaluate((list) => getComputedStyle(list).direction), 'rtl');
  assert.equal(await page.locator('.md pre code').last().evaluate((code) => getComputedStyle(code).direction), 'ltr');
  await look(page, 'arabic');

  // ---- tools -------------------------------------------------------------------------------------------------------
  const tool = (more) => ({ type: 'tool', name: 'bash', title: 'ls', state: 'completed', input: '{}', ...more });
  host.say('tools', 'assistant', [
    tool({ input: JSON.stringify({ command: 'echo one\necho two \u202e', timeout: 5 }), output: 'one\ntwo' }),
    tool({ state: 'rejected', title: 'rm -rf ~', error: 'Use trash instead.' }),
  ]);
  await page.locator('.tool', { hasText: 'rejected' }).waitFor();
  assert.equal(await page.locator('.tool .tool-state').last().evaluate((node) => getComputedStyle(node).color),
    await page.locator('.tool .tool-state').first().evaluate((node) => getComputedStyle(node).color), 'a rejection looks like a fault');
  for (const summary of await page.locator('.tool summary').all()) await summary.click();
  assert.equal(await page.locator('.tool-body pre').first().innerText(), 'echo one\necho two ⟨U+202E⟩');
  await page.getByText('Use trash instead.').waitFor();
  await look(page, 'tools');

  // What only looked folds to one line, over the steps of an answer; an answer has one line of what can be done with it.
  host.say('look1', 'assistant', [tool({ name: 'read', input: '{"filePath":"/project/a.rs"}', output: '<content>\n1: a\n</content>' })]);
  host.say('look2', 'assistant', [tool({ name: 'grep', input: '{"pattern":"main"}', output: 'Found 1 matches\n/project/b.rs:\n  Line 7: fn main' })]);
  const steps = await page.locator('.facts').count();
  host.say('look3', 'assistant', [tool({ name: 'edit', input: '{}', output: 'Done.', changes: [{ path: '/project/a.rs', kind: 'modified', added_lines: 1,
    deleted_lines: 1, diff: '--- a.rs\n+++ a.rs\n@@ -1 +1 @@\n-let a = 1;\n+let a = 2;\n' }] })]);
  const explored = page.locator('.explore > summary', { hasText: 'Read 1 file, searched 1 time' });
  await explored.click();
  await page.locator('.explore .tool > summary', { hasText: 'main' }).click();
  await page.locator('.explore .line', { hasText: 'fn main' }).waitFor();
  await page.locator('.tool > summary', { hasText: 'a.rs' }).last().click();
  await page.locator('.diff em').first().waitFor();
  assert.deepEqual(await page.locator('.diff em').allInnerTexts(), ['1', '2'], 'the words that differ are not marked');
  assert.equal(await page.locator('.facts').count(), steps, 'each step of an answer has a line of its own');
  host.event({ type: 'todo', items: [{ text: 'Look', state: 'completed' }, { text: 'Change', state: 'in_progress' }] });
  await page.locator('#todo > summary', { hasText: '1 of 2 done' }).click();
  await look(page, 'explored');
  host.event({ type: 'todo', items: [{ text: 'Look', state: 'completed' }, { text: 'Change', state: 'completed' }] });
  await page.locator('#todo').waitFor({ state: 'detached' });

  // ---- the changes of a chat, beside it or over it -------------------------------------------------------------------
  host.event({ type: 'changes', files: [{ path: 'a.rs', kind: 'modified', added_lines: 1, deleted_lines: 1 }] });
  await page.locator('#changes').click();
  await page.locator('aside.beside .diff .add', { hasText: 'let a = 2;' }).waitFor();
  await look(page, 'changes');
  await page.locator('aside.beside [role=separator]').focus();
  const width = await page.locator('aside.beside [role=separator]').getAttribute('aria-valuenow');
  await page.keyboard.press('ArrowLeft');
  assert.equal(Number(await page.locator('aside.beside [role=separator]').getAttribute('aria-valuenow')), Number(width) + 32);
  await page.getByRole('button', { name: 'Both versions side by side' }).click();
  await page.locator('.diff.split').waitFor();
  await page.locator('#changes-close').click();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'changes', 'the focus is lost with the changes');

  // ---- what has no picture of its own ------------------------------------------------------------------------------
  const before = await page.locator('.message:visible').count();
  host.say('synthetic', 'user', [{ type: 'other', name: 'opencode.synthetic', value: {} }]);
  host.say('unknown', 'system', [{ type: 'other', name: 'opencode.snapshot', value: { text: 'Of no use.' } }]);
  host.say('nothing', 'system', []);
  host.say('compaction', 'user', [{ type: 'compacted' }]);
  const note = 'The chat was summarized to free up context.';
  await page.getByText(note).waitFor();
  assert.equal(await page.locator('.message:visible').count(), before + 1, 'an empty bubble is drawn');
  assert.equal(await page.locator('.message.note:visible').count(), 1);
  assert.equal(await page.getByText('Of no use.').count(), 0);
  assert.equal(await page.getByText('Waiting for opencode').count(), 0, 'an answer to a note is waited for');
  // The backend itself may say so, and may say what it has kept.
  host.say('own', 'system', [{ type: 'compacted' }]);
  await until('its note is there', async () => (await page.getByText(note).count()) === 2);
  host.say('summary', 'system', [text('', '<p>A summary of it.</p>')], { agent: 'compaction',
    usage: { input: 1, output: 2, reasoning: 0, cache_read: 0, cache_write: 0, cost: 0.1 } });
  await page.locator('.message.assistant:not(.note)', { hasText: 'A summary of it.' }).waitFor();
  assert.equal(await page.locator('.message.note:visible').count(), 2);
  await look(page, 'compaction');

  // ---- files that belong to a message ------------------------------------------------------------------------------
  host.say('files', 'user', [text('See these.'), { type: 'attachment', mime: 'image/png', name: 'shot\u202e.png', size: 2049 },
    { type: 'attachment', mime: 'text/plain', name: null }]);
  await page.getByText('shot⟨U+202E⟩.png · image/png · 3 KiB', { exact: true }).waitFor();
  await page.getByText('text/plain', { exact: true }).waitFor();
  assert.equal(await page.locator('.message', { hasText: 'See these.' }).locator('a').count(), 0);

  // ---- an error is shown once, whichever way it comes --------------------------------------------------------------
  const wrong = 'Incorrect API key provided';
  host.say('failed', 'assistant', [], { error: wrong });
  host.event({ type: 'error', text: wrong });
  host.event({ type: 'error', text: 'Another one' });
  await page.getByText('Another one').first().waitFor();
  assert.equal(await page.locator('#log').getByText(wrong).count(), 1);
  host.event({ type: 'turn', turn: { state: 'running' } });
  host.event({ type: 'error', text: 'First the turn, then the message' });
  await page.locator('#log').getByText('First the turn').waitFor();
  host.say('failed2', 'assistant', [], { error: 'First the turn, then the message' });
  await until('the message has it alone', async () => (await page.locator('.foot').getByText('First the turn').count()) === 1
    && (await page.locator('#log').getByText('First the turn').count()) === 1);

  // ---- times are the host's ----------------------------------------------------------------------------------------
  host.now = Date.now() - 3_600_000;
  await page.reload();
  await until('it is there again', () => page.locator('#title', { hasText: 'Requests' }).count());
  const retry = (ms) => host.event({ type: 'turn', turn: { state: 'retrying', attempt: 2, cause: 'Overloaded.', next_at: host.now + ms } });
  retry(20_000);
  await page.getByText(/Retrying in (1\d|20) s/).waitFor();
  retry(16 * 86_400_000);
  await page.getByText('Retrying in 16 days').waitFor();
  host.event({ type: 'turn', turn: { state: 'idle' } });

  // ---- back to the end ---------------------------------------------------------------------------------------------
  host.say('long', 'assistant', [text('', Array.from({ length: 80 }, (_, n) => `<p>Line ${n}</p>`).join(''))]);
  await page.getByText('Line 79').waitFor();
  await page.locator('#scroll').evaluate((box) => { box.scrollTop = 0; });
  await page.getByRole('button', { name: 'Jump to latest' }).click();
  await until('the end is in view', () => page.locator('#scroll').evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight < 2));
  // The page hears of a scroll a frame after it.
  await page.locator('#latest').waitFor({ state: 'hidden' });

  // A phone that is turned, or a window made narrow: whoever read the newest still does.
  const words = 'Many words that need more lines where there is less room for them. '.repeat(4);
  host.say('wordy', 'assistant', [text('', Array.from({ length: 30 }, (_, n) => `<p>${n} ${words}</p>`).join(''))]);
  await page.getByText('29 Many').waitFor();
  const atTheEnd = () => page.locator('#scroll').evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight < 2);
  for (const [width, height] of [[390, 844], [320, 844], [844, 390], [390, 844]]) {
    await page.setViewportSize({ width, height });
    await until(`the end is in view at ${width}`, atTheEnd);
  }
  await page.locator('#latest').waitFor({ state: 'hidden' });
  await page.setViewportSize({ width: 1280, height: 800 });

  // ---- a question that was asked is read as one --------------------------------------------------------------------
  const asked = { questions: [{ header: 'Colour', question: 'Which one?', options: [{ label: 'Blue', description: 'as the sea' }, { label: 'Red' }] }] };
  host.say('asked', 'assistant', [{ type: 'tool', name: 'question', state: 'completed', input: JSON.stringify(asked), output: 'Blue' }]);
  await page.locator('.tool', { hasText: 'question' }).last().locator('summary').click();
  const answered = page.locator('.tool-body', { hasText: 'Which one?' });
  await answered.locator('.chosen', { hasText: 'Blue' }).waitFor();
  assert.deepEqual((await answered.locator('li').allInnerTexts()).map((words) => words.replace(/\s+/g, ' ')), ['Blue (chosen) as the sea', 'Red']);
  assert.equal(await page.getByText('"questions"').count(), 0);

  // ---- the colours of the system -----------------------------------------------------------------------------------
  host.say('mine', 'user', [text('Mine.')]);
  await page.getByText('Mine.').waitFor();
  await page.emulateMedia({ forcedColors: 'active' });
  assert.notEqual(await page.locator('.message.user:visible .body').first().evaluate((node) => getComputedStyle(node).borderTopStyle), 'none');
});
