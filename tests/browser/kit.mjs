// What the browser tests share: a browser whose errors fail the test, looks at a page in every size and colour, and a
// keyboard that notices when the focus is gone.

import { readFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** From tests/tests/browser.rs. */
export const world = JSON.parse(process.env.NEXUS_BROWSER_TEST);
export const ACCOUNT = 'owner';
export const PASSWORD = 'seven grey herons at low tide';
export const NEW_PASSWORD = 'nine brown otters under the pier';

/** Warnings of the browser that a test is meant to cause. */
export const expected = [];
const PATIENCE = 60_000;
const problems = [];
/** Addresses whose document is meant to have an error status; the browser reports that on its console. */
export const refused = new Set();
const mid = { width: 1280, height: 800 };

export async function launch() {
  mkdirSync(world.shots, { recursive: true });
  return chromium.launch({
    executablePath: world.chromium,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update',
      '--disable-sync', '--no-first-run', '--disable-dev-shm-usage'],
  });
}

/** A device of its own: no cookie of any other. */
export async function device(browser, options = {}) {
  const context = await browser.newContext({ viewport: mid, reducedMotion: 'no-preference', ...options });
  context.setDefaultTimeout(PATIENCE);
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) =>
      console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
  });
  const page = await context.newPage();
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    const { url } = message.location();
    if (message.text().startsWith('Failed to load resource') && refused.has(new URL(url, world.url).pathname)) return;
    // What the app asks for besides, where the connection is meant to break.
    if (message.text().startsWith('Failed to load resource') && refused.has('/live') && new URL(url, world.url).pathname.startsWith('/api/v1/')) return;
    if (expected.some((text) => message.text().includes(text))) return;
    // A connection that hangs is dropped before it was made: the browser says so, and it is what the page is to do.
    if (message.text().startsWith('WebSocket connection to') && refused.has('/live')) return;
    problems.push(`${page.url()}: ${message.text()} (${url})`);
  });
  page.on('pageerror', (error) => problems.push(`${page.url()}: ${error.stack}`));
  return page;
}

/** Runs the whole test and ends the process with its outcome. */
export async function run(test) {
  const browser = await launch();
  let code = 0;
  try {
    await test(browser);
  } catch (error) {
    code = 1;
    console.error(error);
    for (const context of browser.contexts()) {
      for (const page of context.pages()) {
        console.error(`--- at ${page.url()}\n${await page.locator('body').innerText().catch(String)}`);
        await page.screenshot({ path: `${world.shots}/failure.png` }).catch(() => {});
      }
    }
  }
  if (problems.length) {
    code = 1;
    console.error(`The browser complained:\n${problems.join('\n')}`);
  }
  await browser.close();
  process.exit(code);
}

/** Asks the Rust side for something only it can do. */
export const please = (request) => console.log(`@${request}`);

// Two frames, so that what begins with the new size has begun, and the end of every transition.
const settled = (page) => page.evaluate(async () => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  // What is out of sight is not drawn (content-visibility), and its transitions do not end.
  const moving = document.getAnimations().filter((one) => one instanceof CSSTransition
    && one.effect.target.checkVisibility({ contentVisibilityAuto: true }));
  await Promise.all(moving.map((one) => one.finished.catch(() => {})));
});

let shot = 0;

/** Looks at the state of a page in light and dark, narrow and wide: axe, overflow, and a picture of each. */
export async function look(page, name) {
  const number = String(++shot).padStart(2, '0');
  const bad = [];
  for (const [size, viewport] of [['320', { width: 320, height: 640 }], ['wide', mid]]) {
    await page.setViewportSize(viewport);
    await settled(page);
    const wide = await page.evaluate(() => [...document.querySelectorAll('body, body *')]
      .filter((node) => node.getBoundingClientRect().right > innerWidth + 1 && getComputedStyle(node).visibility === 'visible'
        && !node.closest('pre, table, .vh, .list') && node.checkVisibility())
      .map((node) => `${node.tagName}.${node.className}`));
    const scrolls = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth
      || [...document.querySelectorAll('.scroll')].some((box) => box.scrollWidth > box.clientWidth));
    // A chat scrolls inside: a page that scrolls as a whole moves what is to be pressed from under the pointer.
    const long = await page.evaluate(() => !!document.querySelector('.app') && document.documentElement.scrollHeight > innerHeight + 1);
    if (long) bad.push(`${size}: the page itself is longer than the window`);
    if (wide.length || scrolls) bad.push(`${size}: overflows: ${wide.join(' ') || 'the page scrolls sideways'}`);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: `${world.shots}/${world.name}-${number}-${name}-${size}-${colorScheme}.png` });
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
      for (const { id, help, nodes } of violations) {
        bad.push(`${size} ${colorScheme}: ${id}: ${help}\n  ${nodes.map((n) => `${n.html}\n  ${n.failureSummary}`).join('\n  ')}`);
      }
    }
    await page.emulateMedia({ colorScheme: null });
  }
  assert.equal(bad.length, 0, `${name}:\n${bad.join('\n')}`);
}

/** The text of the last answer, its white space made plain. */
export const answer = (page) => page.evaluate(() => {
  const all = document.querySelectorAll('.message.assistant');
  return [...all].at(-1)?.querySelector('.body')?.innerText.replace(/\s+/g, ' ').trim() ?? '';
});

export const idle = (page) => page.locator('#stop').waitFor({ state: 'hidden' });

export async function until(what, done, patience = PATIENCE) {
  const end = Date.now() + patience;
  for (;;) {
    const value = await done();
    if (value) return value;
    assert.ok(Date.now() < end, `waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
}

const WORDS = ['alder', 'birch', 'cedar', 'elm', 'fir', 'hazel', 'larch', 'maple', 'oak', 'pine'];
/** What the stand-in answers to `[[text n=…]]`. */
export const words = (n) => Array.from({ length: n }, (_, i) => WORDS[i % 10]).join(' ');

/** Where the focus is: null where it is nowhere. */
const focus = (page) => page.evaluate(() => {
  const node = document.activeElement;
  if (!node || node === document.body || node === document.documentElement) return null;
  const style = getComputedStyle(node), box = node.getBoundingClientRect();
  const ring = (of) => of && getComputedStyle(of).boxShadow !== 'none';
  return {
    what: `${node.tagName}#${node.id}.${node.className} ${node.textContent.trim().slice(0, 40)}`,
    shown: (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || (node.id === 'prompt' && ring(node.closest('.box'))),
    inside: box.width > 1 && box.height > 1 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
});

/** The focus must be on something, and a person must see it. */
export async function focused(page, after) {
  const at = await focus(page);
  assert.ok(at, `after ${after} the focus is lost`);
  assert.ok(at.inside, `after ${after} the focus is where nobody sees it: ${at.what}`);
  assert.ok(at.shown, `after ${after} nothing shows the focus: ${at.what}`);
}

/** Tab until the element that `selector` names has the focus. */
export async function tabTo(page, selector, key = 'Tab') {
  const target = page.locator(selector).first();
  await target.waitFor({ state: 'visible' });
  const there = () => target.evaluate((node) => node === document.activeElement).catch(() => false);
  let wrapped = 0;
  for (let n = 0; n < 80; n++) {
    if (await there()) return focused(page, `${key} to ${selector}`);
    await page.keyboard.press(key);
    // Past the last element the focus belongs to the browser's own controls, once around.
    if (await focus(page) === null) assert.ok(++wrapped < 3, `${selector} cannot be reached with ${key}`);
    else await focused(page, `${key}, on the way to ${selector}`);
  }
  assert.fail(`${selector} cannot be reached with ${key}`);
}
