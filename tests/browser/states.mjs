// What a message waits for, what went wrong, and what is older: each state has a picture, and each button does what it says.

import assert from 'node:assert/strict';
import { Host, SESSION, begin, signUp } from './host.mjs';
import { device, look, run, until } from './kit.mjs';
await run(async (browser) => {
  const page = await device(browser);
  const host = await Host.of(page);
  host.turn = { state: 'idle' };
  await signUp(page);
  await begin(page);
  const text = (text, html) => ({ type: 'text', text, html });
  const message = (id, role, more) => host.event({ type: 'message', message: { id, role, created_at: host.now + host.seq, ...more } });
  // the first prompt: sent, no message shown yet
  await until('prompt heard', () => host.heard.some(({ type }) => type === 'prompt'));
  const { client_id } = host.heard.find(({ type }) => type === 'prompt');
  const part = (id, m, t) => host.event({ type: 'part', part: { id, message: m, revision: 1, closed: true, content: { type: 'text', text: t } } });
  message(`local-${client_id}`, 'user', { client_id, waiting: { type: 'backend' } });
  part('p0', `local-${client_id}`, 'Begin.');
  await page.getByText('Waiting for opencode', { exact: true }).waitFor();
  host.event({ type: 'turn', turn: { state: 'running' } });
  await page.getByText('Working', { exact: true }).waitFor();
  // Taken by the host before its message is shown, and taken back: nothing of it stays.
  await page.fill('#prompt', 'typed and taken back');
  await page.press('#prompt', 'Enter');
  const typed = await until('it is heard', () => host.heard.find((f) => f.type === 'prompt' && f.text === 'typed and taken back'));
  message(`local-${typed.client_id}`, 'user', { client_id: typed.client_id, waiting: { type: 'turn' } });
  part('typed', `local-${typed.client_id}`, 'typed and taken back');
  await page.getByText('Queued until the current answer is finished.').waitFor();
  host.event({ type: 'message_removed', message: `local-${typed.client_id}` });
  await until('it is gone', async () => await page.getByText('typed and taken back').count() === 0);
  // queued
  message('local-q1', 'user', { client_id: 'q1', waiting: { type: 'turn' } });
  part('q1p', 'local-q1', 'the queued one');
  message('a1', 'assistant', {});
  part('a1p', 'a1', 'An answer.');
  await page.getByText('Queued until the current answer is finished.').waitFor();
  assert.deepEqual(await page.locator('.message .body').allInnerTexts(), ['Begin.', 'An answer.', 'the queued one']);
  await look(page, 'queue');
  await page.getByRole('button', { name: 'Send now' }).click();
  await until('sent now', () => host.heard.some((f) => f.type === 'prompt' && f.now && f.client_id === 'q1' && f.text === 'the queued one'));
  message('local-q1', 'user', { client_id: 'q1', waiting: { type: 'owner', cause: 'The previous answer was stopped.' } });
  await page.getByText('Not sent. The previous answer was stopped').waitFor();
  host.event({ type: 'message', message: { id: 'a1', role: 'assistant', created_at: host.now + 5, completed_at: host.now + 6 } });
  host.event({ type: 'turn', turn: { state: 'idle' } });
  await look(page, 'owner');
  await page.getByRole('button', { name: 'Remove' }).click();
  await until('take back', () => host.heard.some((f) => f.type === 'take_back' && f.client_id === 'q1'));
  host.event({ type: 'message_removed', message: 'local-q1' });
  // error of the session, then once
  message('u2', 'user', { client_id: 'u2', completed_at: host.now - 60_000, created_at: host.now - 60_000 + host.seq });
  part('u2p', 'u2', 'Second question');
  host.event({ type: 'error', text: 'Model not found: fake/nope.' });
  await page.locator('#log').getByText('Model not found: fake/nope.').waitFor();
  await page.getByText('To fix: set a model').waitFor();
  await look(page, 'error');
  // order by time: an older one goes up
  assert.deepEqual(await page.locator('.message .body').allInnerTexts(), ['Second question', 'Begin.', 'An answer.']);
  // a new state with an error, older, cut
  host.messages = [{ message: { id: 'm9', role: 'user', created_at: host.now - 100_000 }, parts: [{ id: 'm9p', message: 'm9', revision: 1, closed: true, content: text('unanswered') }] }];
  host.send({ type: 'state', session: SESSION, seq: ++host.seq, info: { id: SESSION, title: 'Requests' }, messages: host.messages, turn: { state: 'idle' }, requests: [], before: '1.m9' });
  await page.getByText('opencode did not answer this message.').waitFor();
  await page.getByRole('button', { name: 'Show older messages' }).click();
  await until('older', () => host.heard.some((f) => f.type === 'older' && f.before === '1.m9'));
  host.send({ type: 'older', session: SESSION, messages: [{ message: { id: 'm1', role: 'assistant', created_at: 1 }, parts: [{ id: 't1', message: 'm1', revision: 1, closed: true, truncated_bytes: 50_000, content: { type: 'tool', name: 'bash', state: 'completed', input: '{"command":"ls"}', output: 'head…tail' } }] }] });
  await page.locator('.tool').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Show older messages' }).isHidden());
  await page.locator('.tool summary').click();
  await look(page, 'older');
  await page.getByRole('button', { name: /Show all/ }).click();
  await until('part', () => host.heard.some((f) => f.type === 'part' && f.part === 't1'));
  host.send({ type: 'part', session: SESSION, part: { id: 't1', message: 'm1', revision: 1, closed: true, content: { type: 'tool', name: 'bash', state: 'completed', input: '{"command":"ls"}', output: 'the whole of it' } } });
  await page.getByText('the whole of it').waitFor();
  assert.equal(await page.getByRole('button', { name: /Show all/ }).count(), 0);
  await page.getByRole('button', { name: 'Send again' }).click();
  await until('again', () => host.heard.some((f) => f.type === 'prompt' && f.text === 'unanswered'));
  // interrupted: Continue once
  host.event({ type: 'message', message: { id: 'm10', role: 'assistant', created_at: host.now, interrupted: true } });
  part('m10p', 'm10', 'Half an');
  for (const f of host.heard.filter(({ type }) => type === 'prompt')) host.event({ type: 'message', message: { id: 'real-' + f.client_id, role: 'user', created_at: host.now - 50, client_id: f.client_id } });
  host.event({ type: 'turn', turn: { state: 'interrupted' } });
  await page.getByRole('button', { name: 'Continue' }).waitFor();
  await look(page, 'interrupted');
  // list with archived and more
  host.send({ type: 'list', sessions: [{ id: SESSION, title: 'Requests', backend: 'chat-opencode' }, { id: 'x', title: 'Old one', archived: true, backend: 'chat-opencode' }], more: 30 });
  await page.getByText('Archived (1)').waitFor();
  await page.getByRole('button', { name: 'Show older chats (30 more)' }).click();
  await until('list', () => host.heard.some((f) => f.type === 'list'));
  await look(page, 'list');
  // The address closes, and the new one is not known yet; then it is.
  host.send({ type: 'moved', url: null });
  const moved = page.locator('#moved');
  await page.getByText('This tunnel is being reopened by another plugin or with other settings, and this address is closing.').waitFor();
  assert.equal(await moved.locator('code').innerText(), 'nexus tunnel list');
  host.send({ type: 'moved', url: 'https://new.example/' });
  await moved.getByText('Nexus has a new address').waitFor();
  assert.equal(await moved.getByRole('link').getAttribute('href'), `https://new.example/s/${SESSION}`);
  assert.equal(await page.locator('#moved').count(), 1);
  // deleted elsewhere: said for good, whatever else comes
  host.event({ type: 'session_removed' });
  const gone = page.getByRole('heading', { name: 'This chat was deleted.' });
  await gone.waitFor();
  const backend = { plugin: 'chat-opencode', title: 'opencode', version: '2', example: false, features: [], missing: null, pending_action: null, storage_error: null, state: 'stopped' };
  host.send({ type: 'backend', backend, html: '' });
  await page.getByText('opencode 2').waitFor();
  assert.ok(await gone.isVisible() && await page.locator('#composer').isHidden() && await page.locator('#menu').isHidden());
  await look(page, 'deleted');
});
