// A login at another site, in a browser that keeps its cookies from it.

import assert from 'node:assert/strict';
import { device, look, refused, run, world } from './kit.mjs';

await run(async (browser) => {
  const page = await device(browser);
  await page.goto(world.setup);
  await page.getByLabel('Account name').fill('boss');
  await look(page, 'setup-redirect');
  await page.getByRole('button', { name: 'Continue with the provider' }).click();
  await page.getByRole('link', { name: /^Continue to localhost:/ }).waitFor();
  await look(page, 'setup-continue');
  await page.getByRole('link', { name: /^Continue to localhost:/ }).click();
  await page.getByRole('button', { name: 'Sign in as ada' }).click();
  await page.locator('#prompt').waitFor();
  assert.equal(new URL(page.url()).pathname, '/');

  // Back where one wanted to go.
  const other = await device(browser);
  await other.goto(new URL('/status', world.url).href);
  await other.getByRole('link', { name: 'Log in with the provider' }).waitFor();
  await look(other, 'login-redirect');
  await other.getByRole('link', { name: 'Log in with the provider' }).click();
  await other.getByRole('button', { name: 'Sign in as ada' }).click();
  await other.waitForURL(new URL('/status', world.url).href);
  await other.getByRole('link', { name: 'Account' }).click();
  await other.getByRole('button', { name: 'Log out', exact: true }).click();
  await other.getByRole('heading', { name: 'Log in' }).waitFor();

  // Whom the provider does not let in, and whom nobody knows here.
  refused.add('/login/callback');
  for (const [who, message] of [['nobody', 'The provider did not let you in.'], ['eve', 'nexus user bind NAME --subject id-of-eve']]) {
    await other.getByRole('link', { name: 'Log in with the provider' }).click();
    await other.getByRole('button', { name: `Sign in as ${who}` }).click();
    await other.getByText(message).waitFor();
    await look(other, `login-${who}`);
  }

  // Without a script the way back is a button.
  const plain = await device(browser, { javaScriptEnabled: false });
  await plain.goto(new URL('/login', world.url).href);
  await plain.getByRole('link', { name: 'Log in with the provider' }).click();
  await plain.getByRole('button', { name: 'Sign in as ada' }).click();
  await plain.getByRole('button', { name: 'Continue' }).click();
  // Playwright finds no text in what is for browsers without a script.
  await plain.locator('main p').waitFor();
  assert.match(await plain.locator('main').innerText(), /Chat needs JavaScript\./);
});
