// A login plugin without set-up of its own: the owner's link leads to its form, once.

import { device, look, refused, run, world } from './kit.mjs';

const enter = async (page, label, value, button) => {
  await page.getByLabel(label, { exact: true }).fill(value);
  await page.getByRole('button', { name: button }).click();
};

await run(async (browser) => {
  const page = await device(browser);
  await page.goto(world.setup);
  await page.getByRole('heading', { name: 'Create the owner account' }).waitFor();
  await look(page, 'setup-bind');
  await enter(page, 'Account name', 'boss', 'Continue with Code');
  await enter(page, 'Name', 'ada', 'Log in');
  await enter(page, 'Code', '1234', 'Log in');
  await page.locator('#prompt').waitFor();

  const other = await device(browser);
  await other.goto(world.url);
  await enter(other, 'Name', 'ada', 'Log in');
  await look(other, 'login-code');
  refused.add('/login');
  await enter(other, 'Code', '0000', 'Log in');
  await other.getByText('This code is wrong.').waitFor();
  await enter(other, 'Name', 'eve', 'Log in');
  await enter(other, 'Code', '5678', 'Log in');
  await other.getByText('nexus user bind NAME --subject code:eve').waitFor();
  await look(other, 'login-unknown');
  await enter(other, 'Name', 'ada', 'Log in');
  await enter(other, 'Code', '1234', 'Log in');
  await other.locator('#prompt').waitFor();
  await other.goto(new URL('/account', world.url).href);
  await other.getByText('does not support changing credentials').waitFor();
  await look(other, 'account-core');
});
