// The first use without a mouse: Tab, Enter and Space. The focus is visible on every step and never lost.

import assert from 'node:assert/strict';
import { ACCOUNT, PASSWORD, answer, device, focused, idle, run, tabTo, until, words, world } from './kit.mjs';

await run(async (browser) => {
  const page = await device(browser);
  const { keyboard } = page;
  const type = async (selector, text) => { await tabTo(page, selector); await keyboard.type(text); };

  await page.goto(world.setup);
  await page.getByRole('heading', { name: 'Create the owner account' }).waitFor();
  await type('input[name^=field-][type=text]', ACCOUNT);
  const count = await page.locator('input[type=password]').count();
  for (let n = 0; n < count; n++) { await type(`input[type=password] >> nth=${n}`, PASSWORD); }
  await tabTo(page, 'button:has-text("Create account")');
  await keyboard.press('Enter');
  await page.locator('#prompt').waitFor();

  // Out, and in again.
  await tabTo(page, '.side-foot a[href="/account"]');
  await keyboard.press('Enter');
  await tabTo(page, 'button:text-is("Log out")');
  await keyboard.press('Space');
  await page.getByRole('heading', { name: 'Log in' }).waitFor();
  await type('input[name^=field-][type=text]', ACCOUNT);
  await type('input[type=password]', PASSWORD);
  await keyboard.press('Enter');
  await page.locator('#prompt').waitFor();
  await page.getByText('What would you like to do?').waitFor();

  // Chat; the Send button by Space.
  await type('#prompt', 'Trees. [[text n=60 rate=60]]');
  await tabTo(page, '#send');
  await keyboard.press('Space');
  await until('the first answer', async () => (await answer(page)) === words(60));
  await idle(page);
  await focused(page, 'sending with the button');

  // Allow a tool.
  await tabTo(page, '#prompt');
  await keyboard.type('List. [[tool name=bash args={"command":"echo from-the-keyboard","description":"Says a word"}]]');
  await keyboard.press('Enter');
  await page.getByRole('button', { name: 'Allow once' }).waitFor();
  await focused(page, 'the question came');
  // It can be pressed once it was there long enough to be read.
  await until('it can be allowed', () => page.getByRole('button', { name: 'Allow once' }).isEnabled());
  await tabTo(page, '.request button:has-text("Allow once")', 'Shift+Tab');
  await keyboard.press('Space');
  await focused(page, 'allowing');
  await page.locator('.tool[data-state=completed]').waitFor();
  await idle(page);
  await focused(page, 'the question was answered');
  await tabTo(page, '.tool summary', 'Shift+Tab');
  await keyboard.press('Enter');
  await page.locator('.tool-body').getByText('from-the-keyboard').last().waitFor();
  await focused(page, 'opening the tool card');

  // Stop.
  await type('#prompt', 'Never stop. [[text n=2000 rate=30]]');
  await keyboard.press('Enter');
  await until('it has begun', async () => /^alder birch/.test(await answer(page)));
  await tabTo(page, '#stop');
  await keyboard.press('Enter');
  await idle(page);
  await focused(page, 'stopping');

  // The menu opens and closes.
  await tabTo(page, '#menu > summary', 'Shift+Tab');
  await keyboard.press('Enter');
  await tabTo(page, '.menu-box .rename');
  await keyboard.press('Escape');
  await focused(page, 'closing the menu');
  assert.equal(await page.locator('.menu-box:visible').count(), 0);

  // The list of chats on a narrow screen.
  await page.setViewportSize({ width: 320, height: 640 });
  await tabTo(page, '#side-open', 'Shift+Tab');
  await keyboard.press('Enter');
  await page.locator('#side-close').waitFor();
  await until('the drawer is in', () => page.locator('#side').evaluate((side) => side.getBoundingClientRect().left >= 0));
  await focused(page, 'opening the list');
  await tabTo(page, '#list a');
  await keyboard.press('Escape');
  await focused(page, 'closing the list');
  await page.setViewportSize({ width: 1280, height: 800 });

  // The tunnel.
  await tabTo(page, '.side-foot a[href="/status"]', 'Shift+Tab');
  await keyboard.press('Enter');
  await page.getByText('Live: this page').waitFor();
  await tabTo(page, 'button[aria-label^="Start tunnel"]');
  await keyboard.press('Space');
  await page.locator('.url a').waitFor();
  await tabTo(page, '.url a');
  await tabTo(page, 'button[aria-label^="Stop tunnel"]');
  await keyboard.press('Enter');
  // What it cuts comes first, and the focus is on what cuts nothing.
  await page.getByText('loses the connection').waitFor();
  await focused(page, 'asking whether to stop');
  const sure = page.getByRole('button', { name: 'Stop now' });
  await until('it may be pressed', () => sure.isEnabled());
  await tabTo(page, '.confirm .go', 'Shift+Tab');
  await keyboard.press('Enter');
  await page.getByRole('button', { name: 'Start tunnel' }).waitFor();
  await focused(page, 'stopping the tunnel');
  // The other views.
  await tabTo(page, '.side-foot a[href="/settings"]', 'Shift+Tab');
  await keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  await until('its heading has the focus', () => page.locator('#title').evaluate((node) => node === document.activeElement));
  await page.goBack();
  await page.getByRole('heading', { name: 'Status', exact: true }).waitFor();
  await until('its heading has the focus', () => page.locator('#title').evaluate((node) => node === document.activeElement));
});
