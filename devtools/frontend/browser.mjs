// What every program for the browser starts with: CHROMIUM is a path, or `packed` for the one in node_modules.
import { chromium } from 'playwright-core';

// It unpacks into TMPDIR: the libraries that a machine without a desktop lacks only where it believes itself on Lambda, and fonts, without
// which Chromium dies, for fonts.conf.
async function unpacked() {
  Object.assign(process.env, { AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x', FONTCONFIG_PATH: import.meta.dirname });
  return (await import('@sparticuz/chromium')).default.executablePath();
}

const SWITCHES = ['--no-sandbox', '--disable-gpu', '--font-render-hinting=none', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

// The browser's own line for every file that is not there, of which the frontend makes another message; and what frontend 1.58 says of
// itself when it loads a graph, and in App mode.
const NOT_OURS = ['Failed to load resource', 'input.link is deprecated', 'WARNING: Invalid layout'];

export const RENDERERS = [['canvas', false], ['vue', true]];
export const render = (page, isVue) =>
  page.evaluate(on => window.app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on), isVue);
export const ready = page =>
  page.waitForFunction(() => window.app?.graph && window.app.extensionManager, null, { timeout: 120000 });

/** A page that was loaded anew in a renderer, with the last session's graph, which comes first. */
export async function reloaded(page, isVue) {
  await render(page, isVue);
  await page.reload();
  await ready(page);
  await page.waitForTimeout(2500);
}

/** {browser, page, messages}: a page of the frontend at ADDRESS in a node renderer, and what it complains of. */
export async function start(browserPath, address, isVue = false) {
  // A new user is shown the templates first; and what a browser draws without a graphics card takes a core at 60 frames a second.
  const settings = { 'Comfy.TutorialCompleted': true, 'LiteGraph.Canvas.MaximumFps': 10, 'Comfy.VueNodes.Enabled': isVue };
  const set = await fetch(`${address}/settings`, { method: 'POST', body: JSON.stringify(settings) });
  if (!set.ok) throw new Error(`The host takes no settings: ${set.status}`);
  const browser = await chromium.launch({ executablePath: browserPath === 'packed' ? await unpacked() : browserPath, args: SWITCHES });
  const context = await browser.newContext({ viewport: { width: 1700, height: 1000 } });
  const page = await context.newPage();
  const messages = [];
  page.on('console', message => {
    if (['error', 'warning'].includes(message.type()) && !NOT_OURS.some(start => message.text().startsWith(start))) messages.push(message.text());
  });
  page.on('pageerror', error => messages.push(String(error)));
  await page.goto(address);
  await ready(page);
  await page.waitForTimeout(2000);
  return { browser, page, messages };
}
