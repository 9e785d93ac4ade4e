// node open.mjs CHROMIUM ADDRESS FILE...: opens workflows in a server's frontend, as a user's browser would, in both node
// renderers; prints JSON: {file: {renderer: {api, problems, messages, boxes, groups}}}, boxes being {id: [x, y, width, height]} of nodes with
// their titles, groups [[title, box]].
import fs from 'fs';
import { RENDERERS, render, start } from './browser.mjs';

const [browserPath, address, ...files] = process.argv.slice(2);
const { browser, page, messages } = await start(browserPath, address);

/** Until no node moves or grows any more. */
async function settled() {
  const boxes = () => page.evaluate(() => JSON.stringify(window.app.graph._nodes.map(node => [...node.boundingRect])));
  let [before, now] = ['', await boxes()];
  while (now !== before) {
    await page.waitForTimeout(300);
    [before, now] = [now, await boxes()];
  }
}

const seen = {};
for (const [renderer, isVue] of RENDERERS) {
  await render(page, isVue);
  for (const file of files) {
    messages.length = 0;
    await page.evaluate(graph => window.app.loadGraphData(graph), JSON.parse(fs.readFileSync(file)));
    await settled();
    const found = await page.evaluate(async () => ({
      api: (await window.app.graphToPrompt()).output,
      problems: [
        ...window.app.graph._nodes.filter(node => node.has_errors || !window.LiteGraph.registered_node_types[node.type]).map(node => `${node.id} ${node.type}`),
        ...[...document.querySelectorAll('[data-testid=error-overlay], .p-toast-message, [role=dialog]')].map(shown => shown.textContent),
      ],
      boxes: Object.fromEntries(window.app.graph._nodes.map(node => [node.id, [...node.boundingRect]])),
      groups: window.app.graph._groups.map(group => [group.title, [...group._bounding]]),
    }));
    (seen[file] ??= {})[renderer] = { ...found, messages: [...messages] };
  }
}
console.log(JSON.stringify(seen));
await browser.close();
