// No model is configured: opencode would use one that its makers host. Nothing is sent before the owner agrees.

import assert from 'node:assert/strict';
import { ACCOUNT, PASSWORD, device, look, run, world } from './kit.mjs';

await run(async (browser) => {
  const page = await device(browser);
  await page.goto(world.setup);
  await page.locator('input[name^=field-][type=text]').fill(ACCOUNT);
  for (const input of await page.locator('input[type=password]').all()) await input.fill(PASSWORD);
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.locator('#prompt').waitFor();

  await page.locator('#backend').filter({ hasText: /\d/ }).waitFor({ timeout: 60_000 });
  // The version is known before the backend is up; and this text is of the script, which listens by then.
  await page.locator('aside[aria-label="Backend state"]').waitFor({ state: 'detached' });
  await page.getByText('The agent works in').waitFor();
  await page.fill('#prompt', 'For no stranger to read.');
  await page.keyboard.press('Enter');
  const dialog = page.locator('dialog#consent');
  await dialog.waitFor({ timeout: 60_000 });
  assert.match(await dialog.innerText(), /opencode\.ai/);
  await look(page, 'consent');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  assert.equal(await page.inputValue('#prompt'), 'For no stranger to read.', 'what was not sent is given back');
});
