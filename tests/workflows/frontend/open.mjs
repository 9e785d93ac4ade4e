// node open.mjs CHROMIUM ADDRESS FILE...: opens workflows in a server's frontend, as a user's browser would, in both node
// renderers; prints JSON: {file: {renderer: {api, problems, messages}}}. CHROMIUM is a path, or `packed` for the one in node_modules.
import fs from 'fs';
import { chromium } from 'playwright-core';

// It unpacks into TMPDIR: the libraries that a machine without a desktop lacks only where it believes itself on Lambda, and fonts, without
// which Chromium dies, for fonts.conf.
async function unpacked() {
  Object.assign(process.env, { AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x', FONTCONFIG_PATH: import.meta.dirname });
  return (await import('@sparticuz/chromium')).default.executablePath();
}

const [browserPath, address, ...files] = process.argv.slice(2);
const executablePath = browserPath === 'packed' ? await unpacked() : browserPath;
const SWITCHES = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const browser = await chromium.launch({ executablePath, args: SWITCHES });
const page = await browser.newPage({ viewport: { width: 1700, height: 1000 } });
const messages = [];
page.on('console', message => {
  // The browser's own line for every file that is not there; what the frontend makes of it comes as another message.
  if (['error', 'warning'].includes(message.type()) && !message.text().startsWith('Failed to load resource')) messages.push(message.text());
});
page.on('pageerror', error => messages.push(String(error)));
const ready = () => page.waitForFunction(() => window.app?.graph && window.app.extensionManager, null, { timeout: 120000 });
await page.goto(address);
await ready();
// A new user is shown the templates first.
await page.evaluate(() => window.app.extensionManager.setting.set('Comfy.TutorialCompleted', true));
await page.reload();
await ready();
await page.waitForTimeout(2000);

const seen = {};
for (const [renderer, isVue] of [['canvas', false], ['vue', true]]) {
  await page.evaluate(on => window.app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on), isVue);
  for (const file of files) {
    messages.length = 0;
    await page.evaluate(graph => window.app.loadGraphData(graph), JSON.parse(fs.readFileSync(file)));
    await page.waitForTimeout(1200);
    const found = await page.evaluate(async () => ({
      api: (await window.app.graphToPrompt()).output,
      problems: [
        ...window.app.graph._nodes.filter(node => node.has_errors || !window.LiteGraph.registered_node_types[node.type]).map(node => `${node.id} ${node.type}`),
        ...[...document.querySelectorAll('[data-testid=error-overlay], .p-toast-message, [role=dialog]')].map(shown => shown.textContent),
      ],
    }));
    (seen[file] ??= {})[renderer] = { ...found, messages: [...messages] };
  }
}
console.log(JSON.stringify(seen));
await browser.close();
