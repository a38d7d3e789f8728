// The first use, as a person with a mouse does it.

import assert from 'node:assert/strict';
import { ACCOUNT, NEW_PASSWORD, PASSWORD, answer, device, idle, look, please, refused, run, until, words, world } from './kit.mjs';

const send = async (page, text) => {
  await page.fill('#prompt', text);
  await page.click('#send');
};

const logIn = async (page, password) => {
  await page.locator('input[name^=field-][type=text]').fill(ACCOUNT);
  await page.locator('input[type=password]').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
};

await run(async (browser) => {
  const page = await device(browser);

  // Before there is an account, the page says where the link is.
  await page.goto(world.url);
  await page.getByRole('heading', { name: 'Welcome to Nexus' }).waitFor();
  await look(page, 'welcome');

  // The set-up link: its token leaves the address at once.
  await page.goto(world.setup);
  await page.getByRole('heading', { name: 'Create the owner account' }).waitFor();
  assert.equal(new URL(page.url()).hash, '');
  await look(page, 'setup');
  refused.add('/setup');
  await page.locator('input[type=text]:visible').fill(ACCOUNT);
  for (const input of await page.locator('input[type=password]').all()) await input.fill('short');
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.locator('[role=alert], .error-text').first().waitFor();
  await look(page, 'setup-error');
  await page.locator('input[name^=field-][type=text]').fill(ACCOUNT);
  for (const input of await page.locator('input[type=password]').all()) await input.fill(PASSWORD);
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.locator('#prompt').waitFor();
  await page.getByText('What would you like to do?').waitFor();
  await look(page, 'empty');

  // The answer streams in: it is seen to grow while it is written.
  await send(page, 'Name the trees, please. [[text n=120 rate=30]]');
  await page.locator('#stop').waitFor();
  const seen = new Set();
  await until('the answer has grown', async () => {
    const text = await answer(page);
    assert.ok(words(120).startsWith(text.replace(/\S*$/, '').trim()), `not a beginning of the answer: ${text}`);
    seen.add(text.length);
    return seen.size > 5 && await page.locator('#stop').isVisible();
  });
  await idle(page);
  assert.equal(await answer(page), words(120));
  const chat = page.url();
  assert.match(chat, /\/s\//);

  // A reload in the middle of an answer loses nothing.
  await send(page, 'And again. [[text n=150 rate=25]]');
  await until('some of the answer came', async () => (await page.locator('.message.assistant').count()) > 1 && (await answer(page)).length > 120);
  const before = await answer(page);
  await page.reload();
  const after = await until('the page is back', async () => (await page.locator('.message.assistant').count()) > 1 && (await answer(page)));
  assert.ok(await page.locator('#stop').isVisible(), 'the answer was over before the reload');
  assert.ok(after.startsWith(before), `before the reload: ${before}\nafter: ${after}`);
  await idle(page);
  assert.equal(await answer(page), words(150));
  assert.equal(await page.locator('.message').count(), 4);

  // A tool call asks first.
  const command = 'for i in $(seq 1 120); do echo \\"line $i of the output, which is long enough to need more than a narrow screen has\\"; done; printf \'x%.0s\' $(seq 1 400)';
  await send(page, `Count. [[text n=8]] [[tool name=bash args={"command":"${command}","description":"Counts to a hundred and twenty"}]] [[markdown]]`);
  await page.getByRole('button', { name: 'Allow once' }).waitFor();
  assert.equal(await page.locator('.tool[data-state=completed]').count(), 0, 'the tool ran without being allowed');
  await look(page, 'request');
  // It is longer than its box: its end is read first.
  await page.locator('.request-read').evaluate((read) => { read.scrollTop = read.scrollHeight; });
  await page.getByRole('button', { name: 'Allow once' }).click();
  await page.locator('.tool[data-state=completed]').waitFor();
  await idle(page);
  await page.locator('.md pre').waitFor();
  assert.equal(await page.locator('.request').count(), 0);
  await look(page, 'markdown');
  await page.locator('.tool summary').last().click();
  assert.match(await page.locator('.tool-body').last().innerText(), /line 120 of the output/);
  await page.locator('.tool').last().scrollIntoViewIfNeeded();
  await look(page, 'tool');
  assert.equal(await page.locator('.md script, .md img, .md a[href^="javascript"]').count(), 0);

  // Rejecting is an answer too.
  await send(page, 'Delete it all. [[tool name=bash args={"command":"rm -rf everything","description":"Removes everything"}]]');
  await page.getByRole('button', { name: 'Reject…' }).click();
  await page.getByRole('button', { name: 'Reject', exact: true }).click();
  await page.locator('.tool:is([data-state=failed], [data-state=rejected])').waitFor();
  await idle(page);
  await look(page, 'rejected');

  // Reasoning, and a word without an end.
  await send(page, `${'Donaudampfschifffahrtsgesellschaft'.repeat(6)} [[reason n=40 rate=200]] [[say ${'https://example.org/a/very/long/address/'.repeat(5)}]]`);
  await page.locator('.message.assistant').last().getByText('thought it over').waitFor();
  await idle(page);
  await look(page, 'long-words');

  // Stop keeps what there is.
  await send(page, 'Never stop. [[text n=2000 rate=30]]');
  await until('the answer has begun', async () => /^alder birch cedar/.test(await answer(page)));
  await page.click('#stop');
  await idle(page);
  const stopped = await answer(page);
  assert.match(stopped, /^alder birch cedar/);
  await page.reload();
  await until('the stopped answer is back', async () => (await answer(page)).startsWith(stopped.slice(0, 40)));
  await look(page, 'stopped');

  // opencode is killed in the middle of an answer: what was seen stays, and the page says what happened.
  await send(page, 'Go on. [[text n=400 rate=20]]');
  await until('the answer has begun', async () => (await answer(page)).length > 60 && await page.locator('#stop').isVisible());
  const cut = await answer(page);
  please('kill serve');
  await page.getByRole('button', { name: 'Continue' }).waitFor();
  assert.ok((await answer(page)).includes(cut), `lost: ${cut}\nleft: ${await answer(page)}`);
  await until('the backend is back', async () => !(await page.locator('.banner').allInnerTexts()).join().includes('away'));
  await look(page, 'interrupted');

  // Rename.
  await page.locator('#menu > summary').click();
  await look(page, 'menu');
  await page.fill('.menu-box .rename', 'Trees and numbers');
  await page.getByRole('button', { name: 'Rename' }).click();
  await page.getByRole('heading', { name: 'Trees and numbers' }).waitFor();
  await page.locator('#list').getByText('Trees and numbers').waitFor();

  // What is too long for one message stays where it was written.
  // Put there at once, as it is pasted: to be typed by the browser's protocol takes a busy machine more than a minute.
  await page.locator('#prompt').evaluate((box) => {
    box.value = 'x'.repeat(3_000_000);
    box.dispatchEvent(new Event('input', { bubbles: true }));
    box.focus();
  });
  await page.keyboard.press('Enter');
  await page.locator('#notice', { hasText: 'the limit is 512 KiB' }).waitFor();
  assert.equal((await page.inputValue('#prompt')).length, 3_000_000);
  assert.ok(await page.locator('#link').isHidden());
  await page.fill('#prompt', '');

  // Another chat, deleted again.
  await page.getByRole('link', { name: 'New chat' }).click();
  await page.getByText('What would you like to do?').waitFor();
  await send(page, 'Short. [[say very short]]');
  await page.locator('#log').getByText('very short', { exact: true }).waitFor();
  await idle(page);
  const doomed = page.url();
  await until('the form to rename it knows its title', async () => {
    const title = await page.textContent('#title');
    return title !== 'New chat' && await page.inputValue('.menu-box .rename') === title;
  });
  await page.locator('#menu > summary').click();
  await page.getByText('Delete this chat…').click();
  await page.getByRole('button', { name: 'Delete chat' }).click();
  await page.waitForURL((url) => url.href !== doomed);
  await page.getByText('What would you like to do?').waitFor();
  await until('only the first chat is listed', async () => (await page.locator('#list li').count()) === 1);
  refused.add(new URL(doomed).pathname).add('/no/such/page');
  await page.goto(new URL('/no/such/page', world.url).href);
  await page.getByRole('heading').waitFor();
  await look(page, 'not-found');

  // The tunnel.
  await page.goto(new URL('/status', world.url).href);
  await page.getByText('Live: this page').waitFor();
  await look(page, 'status');
  await page.getByRole('button', { name: 'Start tunnel' }).click();
  const link = page.locator('.url a');
  await link.waitFor();
  const outside = await link.getAttribute('href');
  await page.locator('.item', { has: link }).getByText('Running').or(page.locator('.item', { has: link }).getByText('Open')).first().waitFor();
  await page.getByText('QR code', { exact: true }).click();
  await page.locator('.qr svg').waitFor();
  await page.getByText('History', { exact: true }).click();
  await page.locator('[id^=history-] li', { hasText: 'open at' }).waitFor();
  // What is unfolded stays so while the page changes by itself.
  await page.getByText('public check OK').waitFor();
  assert.ok(await page.locator('.qr svg').isVisible());
  await look(page, 'tunnel-open');
  await page.locator('[id^=log-tunnel-]').click();
  await page.getByRole('heading', { name: /^Log: / }).waitFor();
  await page.locator('#log li').first().waitFor();
  await look(page, 'log');
  await page.getByRole('link', { name: 'Settings' }).click();
  await page.getByLabel('Dark').check();
  await page.getByLabel('Deutsch').check();
  await page.getByRole('heading', { name: 'Einstellungen' }).waitFor();
  await look(page, 'settings');
  await page.getByLabel('English').check();
  await page.getByLabel('As the system').check();

  // From outside, on another device.
  const other = await device(browser);
  await other.goto(outside);
  await other.getByRole('heading', { name: 'Log in' }).waitFor();
  await look(other, 'login');
  refused.add('/login');
  await logIn(other, 'not the password at all');
  await other.locator('[role=alert]').waitFor();
  await look(other, 'login-error');
  await logIn(other, PASSWORD);
  await other.locator('#list').getByText('Trees and numbers').click();
  await until('the same chat is seen from outside', async () => (await other.locator('#log').innerText()).includes(words(150)));
  const texts = (which) => which.locator('.message .body').allInnerTexts();
  await page.goto(chat);
  await until('both show the same', async () => {
    const [here, there] = [await texts(page), await texts(other)];
    return here.length > 8 && JSON.stringify(here) === JSON.stringify(there);
  });
  // It is live there as well.
  await send(other, 'From outside. [[text n=40 rate=40]]');
  await until('the answer to the other device', async () => (await answer(page)).startsWith(words(40)));
  await idle(other);
  assert.equal(await answer(other), words(40));

  // Account: another password, log out.
  await page.goto(new URL('/account', world.url).href);
  await look(page, 'account');
  const change = async (old, fresh) => {
    const inputs = page.locator('form[action="/account"] input[type=password]');
    await inputs.first().fill(old);
    for (let n = 1; n < await inputs.count(); n++) await inputs.nth(n).fill(fresh);
    await page.getByRole('button', { name: 'Change password' }).click();
  };
  refused.add('/account');
  await change('not the old one at all', NEW_PASSWORD);
  await page.locator('[role=alert], .error-text').first().waitFor();
  await look(page, 'account-error');
  await change(PASSWORD, NEW_PASSWORD);
  await page.locator('.alert.ok').waitFor();
  await look(page, 'account-changed');
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await page.getByRole('heading', { name: 'Log in' }).waitFor();
  await page.goto(chat);
  await page.getByRole('heading', { name: 'Log in' }).waitFor();
  await logIn(page, PASSWORD);
  await page.locator('[role=alert]').waitFor();
  await logIn(page, NEW_PASSWORD);
  await page.locator('#prompt').waitFor();
  assert.equal(page.url(), chat);
});
