// Passkeys, with Chromium's own virtual authenticator.

import assert from 'node:assert/strict';
import { device, expected, look, refused, run, world } from './kit.mjs';

const OPTIONS = {
  protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
  automaticPresenceSimulation: true,
};

/** A device with an authenticator of its own. */
async function withAuthenticator(browser) {
  const page = await device(browser);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('WebAuthn.enable');
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', { options: OPTIONS });
  const send = (method, more = {}) => cdp.send(`WebAuthn.${method}`, { authenticatorId, ...more });
  return { page, send };
}

const press = (page, name) => page.getByRole('button', { name }).click();
const logOut = async (page) => {
  await page.goto(new URL('/account', world.url).href);
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await page.getByRole('button', { name: 'Use a passkey' }).waitFor();
};

// The plugin verifies ES256 alone.
expected.push('publicKey.pubKeyCredParams is missing at least one of the default algorithm identifiers');

await run(async (browser) => {
  const { page, send } = await withAuthenticator(browser);
  await page.goto(world.setup);
  await page.getByLabel('Account name').fill('boss');
  await press(page, 'Create account');
  await page.getByRole('button', { name: 'Create a passkey' }).waitFor();
  await look(page, 'passkey-create');
  await press(page, 'Create a passkey');
  await page.locator('#prompt').waitFor();
  const [{ signCount }] = (await send('getCredentials')).credentials;

  await logOut(page);
  await look(page, 'passkey-use');
  await press(page, 'Use a passkey');
  await page.locator('#prompt').waitFor();
  const [used] = (await send('getCredentials')).credentials;
  assert.ok(used.signCount > signCount, 'its counter goes on');

  // A copy of the key, whose counter is behind, opens nothing.
  await logOut(page);
  refused.add('/login');
  await send('removeCredential', { credentialId: used.credentialId });
  await send('addCredential', { credential: { ...used, signCount: 0 } });
  await press(page, 'Use a passkey');
  await page.getByText('This passkey is not known here.').waitFor();
  await send('removeCredential', { credentialId: used.credentialId });
  await send('addCredential', { credential: { ...used, signCount: used.signCount + 10 } });
  await press(page, 'Use a passkey');
  await page.locator('#prompt').waitFor();

  // Another one in its place, after the present one was shown.
  await page.goto(new URL('/account', world.url).href);
  await look(page, 'passkey-account');
  await press(page, 'Use a passkey');
  await page.getByRole('button', { name: 'Create a passkey' }).waitFor();
  await press(page, 'Create a passkey');
  await page.locator('.alert.ok').waitFor();
  const now = (await send('getCredentials')).credentials;
  assert.ok(now.every(({ credentialId }) => credentialId !== used.credentialId), 'it is another one');
  await logOut(page);
  await press(page, 'Use a passkey');
  await page.locator('#prompt').waitFor();

  // A second person, by the link of `nexus user add`.
  const guest = await withAuthenticator(browser);
  await guest.page.goto(new URL(`/setup#${world.invitation}`, world.url).href);
  await guest.page.getByRole('heading', { name: 'Join this Nexus' }).waitFor();
  await look(guest.page, 'passkey-join');
  await press(guest.page, 'Create account');
  await press(guest.page, 'Create a passkey');
  await guest.page.locator('#prompt').waitFor();
  await guest.page.goto(new URL('/account', world.url).href);
  await guest.page.getByText('You are logged in as ann').waitFor();

  // Nobody's passkey.
  const stranger = await withAuthenticator(browser);
  await stranger.page.goto(new URL('/login', world.url).href);
  await stranger.send('setUserVerified', { isUserVerified: false });
  await press(stranger.page, 'Use a passkey');
  await stranger.page.getByText('It was canceled, or it took too long.').waitFor();
  await look(stranger.page, 'passkey-none');

  // By a number there are none.
  const number = await device(browser);
  await number.goto(new URL('/login', world.url.replace('localhost', '127.0.0.1')).href);
  await number.getByText('this page was opened by a number').waitFor();
  await look(number, 'passkey-number');
});
