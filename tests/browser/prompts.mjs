// The life of a prompt and of a connection, as a person sees them: what waits, what was not sent, what went wrong, what is
// kept, and what hangs.

import assert from 'node:assert/strict';
import net from 'node:net';
import { ACCOUNT, PASSWORD, answer, device, idle, look, refused, run, until, world } from './kit.mjs';

const send = async (page, text) => {
  await page.fill('#prompt', text);
  await page.click('#send');
};
const bubbles = (page) => page.locator('.message.user .body').allInnerTexts();

/** A connection between the browser and Nexus, which can be cut, and then takes what comes and answers nothing. */
async function between() {
  const { port } = new URL(world.url);
  const open = new Set();
  let mute = false;
  const server = net.createServer((near) => {
    open.add(near);
    near.on('error', () => {}).on('close', () => open.delete(near));
    if (mute) return;
    const far = net.connect(Number(port), '127.0.0.1').on('error', () => near.destroy()).on('close', () => near.destroy());
    near.on('close', () => far.destroy());
    near.pipe(far).pipe(near);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    hang() { mute = true; for (const socket of open) socket.destroy(); },
    heal() { mute = false; },
  };
}

await run(async (browser) => {
  const page = await device(browser);
  await page.goto(world.setup);
  await page.locator('input[type=text]:visible').fill(ACCOUNT);
  for (const input of await page.locator('input[type=password]').all()) await input.fill(PASSWORD);
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.locator('#prompt').waitFor();

  // Half an emoji, as a cut text has it, costs one character.
  await page.locator('#prompt').evaluate((box) => { box.value = 'cut emoji \ud83d'; box.dispatchEvent(new Event('input')); });
  await page.click('#send');
  await until('it is answered', async () => (await answer(page)).includes('You said: cut emoji \ufffd'));
  await idle(page);
  assert.match(page.url(), /\/s\//);
  await page.reload();
  await until('it is there after a reload', async () => (await answer(page)).includes('cut emoji \ufffd'));

  // A first message that is sent before the page is connected is sent once it is.
  const early = await page.context().newPage();
  let connect;
  const connected = new Promise((done) => { connect = done; });
  await early.routeWebSocket(/\/live$/, async (socket) => {
    await connected;
    socket.connectToServer();
  });
  await early.goto(world.url);
  await send(early, 'early bird');
  await early.getByText('Not connected. The message will be sent when the connection is restored.').waitFor();
  connect();
  await until('it is answered', async () => (await answer(early)).includes('You said: early bird'));
  await early.close();

  // What is sent while an answer runs waits, says so, and can be taken back.
  await send(page, '[[text n=300 rate=25]]');
  await page.locator('#stop').waitFor();
  await send(page, 'first in line');
  await page.getByText('Queued until the current answer is finished.').waitFor();
  await send(page, 'second in line [[say the second answer]]');
  await until('both wait', async () => await page.getByRole('button', { name: 'Withdraw' }).count() === 2);
  await look(page, 'waiting');
  await page.getByRole('button', { name: 'Withdraw' }).first().click();
  await until('it is gone', async () => !(await bubbles(page)).some((text) => text.includes('first in line')));
  // A stop leaves the other one to its owner.
  await page.click('#stop');
  await page.getByText('The previous answer was stopped.').waitFor();
  await idle(page);
  await look(page, 'not-sent');
  await page.reload();
  await page.getByText('The previous answer was stopped.').waitFor();
  await page.getByText('Stopped.', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Send now' }).click();
  await until('it is answered', async () => (await answer(page)).includes('the second answer'));
  assert.equal(await page.getByText('Not sent. The previous').count(), 0);
  assert.match((await bubbles(page)).at(-1), /second in line/);
  await idle(page);

  // A tab that is closed right after the message was sent takes nothing with it.
  const chat = page.url(), own = await page.context().newPage();
  await own.goto(chat);
  await own.locator('.message').first().waitFor();
  await own.fill('#prompt', 'from a tab that is closed [[delay secs=1]] [[say and still answered]]');
  await own.click('#send');
  await own.close();
  await page.reload();
  await until('it is answered', async () => (await answer(page)).includes('and still answered'));
  await idle(page);

  // What went wrong is said once, with what to do, also to who comes later.
  await send(page, '[[error status=401]]');
  const wrong = page.locator('.alert', { hasText: 'told to answer 401' });
  await wrong.waitFor();
  await idle(page);
  await until('it is there once', async () => await wrong.count() === 1);
  await page.locator('#log').getByText('To fix: give opencode a key that the model\'s provider accepts').waitFor();
  assert.equal((await page.locator('#log').innerText()).split('To fix:').length, 2, 'the fix is shown twice');
  await look(page, 'error');
  await page.reload();
  await wrong.waitFor();
  assert.equal(await wrong.count(), 1);

  // A connection that hangs is noticed, and replaced by one that does not.
  const line = await between();
  refused.add('/account').add('/live');
  const phone = await device(browser);
  await phone.goto(`${line.url}/login`);
  await phone.locator('input[name^=field-][type=text]').fill(ACCOUNT);
  await phone.locator('input[type=password]').fill(PASSWORD);
  await phone.getByRole('button', { name: 'Log in' }).click();
  await phone.locator('#prompt').waitFor();
  await phone.goto(line.url + new URL(chat).pathname);
  await phone.locator('.message').first().waitFor();
  assert.ok(await phone.locator('#link').isHidden());
  line.hang();
  await phone.locator('#link').waitFor({ state: 'visible', timeout: 5_000 });
  await phone.fill('#prompt', 'written while it hangs [[say over there]]');
  await phone.click('#send');
  await until('a connection hangs', async () => (await phone.locator('#link').innerText()).includes('Connection lost'));
  line.heal();
  await phone.locator('#link').waitFor({ state: 'hidden', timeout: 25_000 });
  await until('it was sent', async () => (await answer(phone)).includes('over there'));
  // Offline is said at once.
  await phone.context().setOffline(true);
  await phone.getByText('This device is offline.').waitFor({ timeout: 2_000 });
  await phone.context().setOffline(false);
  await phone.locator('#link').waitFor({ state: 'hidden', timeout: 25_000 });
});
