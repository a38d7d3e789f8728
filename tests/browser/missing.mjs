// opencode is not there: the page says so, offers to install it, and the example shows how the page works. Then it is
// there: it is used without a restart, and what was said to the example stays to be read.

import assert from 'node:assert/strict';
import { ACCOUNT, PASSWORD, answer, device, idle, look, please, refused, run, until, world } from './kit.mjs';

await run(async (browser) => {
  const page = await device(browser);
  await page.goto(world.setup);
  await page.locator('input[name^=field-][type=text]').fill(ACCOUNT);
  for (const input of await page.locator('input[type=password]').all()) await input.fill(PASSWORD);
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.locator('#prompt').waitFor();

  await page.getByText('without a model').first().waitFor();
  await page.locator('.banner form[action="/install"] button').waitFor();
  await look(page, 'missing');
  await page.fill('#prompt', 'Hello, is anyone there?');
  await page.keyboard.press('Enter');
  await until('the example answers', async () => (await answer(page)).length > 0);
  await idle(page);
  assert.equal(await answer(page), 'Hello, is anyone there?');
  assert.ok(await page.locator('.banner.example').isVisible(), 'nothing says that this is an example');
  await look(page, 'example');
  const bookmark = page.url();
  await page.goto(new URL('/status', world.url).href);
  await page.getByText('Live: this page').waitFor();
  await look(page, 'status-missing');

  // An old bookmark, or a chat that was deleted elsewhere: said, by the page and by its status, and for good.
  const nowhere = await page.context().newPage();
  refused.add('/s/ses_nowhere');
  assert.equal((await nowhere.goto(new URL('/s/ses_nowhere', world.url).href)).status(), 404);
  const none = nowhere.getByRole('heading', { name: 'This chat does not exist.' });
  await none.waitFor();
  await look(nowhere, 'nowhere');

  await page.goto(bookmark);
  await page.locator('#prompt').waitFor();
  please('opencode appears');
  await page.getByText('replace the chat backend with chat-echo').waitFor();
  assert.equal(await answer(page), 'Hello, is anyone there?', 'it can be read');
  assert.ok(await page.locator('#prompt').isHidden(), 'nothing can be sent to a backend that is not there');
  await look(page, 'foreign');
  await page.goto(world.url);
  await page.locator('#backend', { hasText: 'opencode' }).waitFor();
  assert.ok(await page.locator('#prompt').isVisible());
  // What the backend's own news draw does not write over it.
  await nowhere.locator('#backend', { hasText: 'opencode' }).waitFor();
  assert.ok(await none.isVisible() && await nowhere.locator('#prompt').isHidden() && await nowhere.locator('#menu').isHidden());
  assert.equal(await nowhere.locator('.spinner:visible').count(), 0);
});
