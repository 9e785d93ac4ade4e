// node board_film.mjs CHROMIUM ADDRESS FILE FOLDER: the board of a workflow with a Group KSampler, while it runs and as it is used afterwards;
// leaves FOLDER/0.png, FOLDER/1.png, ...; prints JSON: for how many milliseconds each is seen.
import fs from 'fs';
import path from 'path';
import { start } from './browser.mjs';

const [browserPath, address, file, folder] = process.argv.slice(2);
// A seed whose group is about as much more varied than the first seeds as it is by most.
const SETTINGS = { seed: 700, schedule: 'paper', starting_candidates: 40, pruning_ratio: 0.15 };
const [WIDTH, HEIGHT] = [520, 760];
// Milliseconds: between two looks, and to be read.
const [OFTEN, LONG] = [250, 2500];
const { browser, page } = await start(browserPath, address);
const board = page.locator('.group-board');
const durations = [];
let last, size;

/** Makes room for the board: the node grows with what it says above. */
const place = () =>
  page.evaluate(
    ([width, height]) => {
      const { app } = window;
      const node = app.graph.nodes.find(one => one.type === 'GroupKSampler');
      const others = node.computeSize()[1] - node.widgets.find(widget => widget.name === 'group_board').options.getMinHeight();
      node.setSize([width, others + height]);
      app.canvas.ds.scale = 1;
      app.canvas.ds.offset = [400 - node.pos[0], 980 - node.pos[1] - node.size[1]];
      app.canvas.setDirty(true, true);
    },
    [WIDTH, HEIGHT],
  );

/** Adds what is seen now, or shows what was seen for longer. */
async function take(milliseconds) {
  await place();
  await page.waitForTimeout(OFTEN);
  const { x, y, width, height } = await board.boundingBox();
  size ??= { width: Math.floor(width), height: Math.floor(height) };
  const seen = await page.screenshot({ clip: { x, y, ...size } });
  if (last?.equals(seen)) durations[durations.length - 1] += milliseconds;
  else fs.writeFileSync(path.join(folder, `${durations.push(milliseconds) - 1}.png`), seen);
  last = seen;
}

await page.evaluate(
  async ([graph, settings]) => {
    await window.app.loadGraphData(graph);
    const { widgets } = window.app.graph.nodes.find(node => node.type === 'GroupKSampler');
    for (const [name, value] of Object.entries(settings)) widgets.find(widget => widget.name === name).value = value;
    return window.app.queuePrompt(0, 1);
  },
  [JSON.parse(fs.readFileSync(file)), SETTINGS],
);
await board.waitFor({ state: 'attached', timeout: 60000 });
const finished = () => [...document.querySelector('.group-board').shadowRoot.querySelectorAll('.tile.best')].some(tile => tile.style.backgroundImage.includes('/view?'));
while (!(await page.evaluate(finished))) await take(OFTEN);
await page.waitForTimeout(1000);
await take(LONG);
for (const at of [2, 5]) {
  await page.locator('.group-board .bar.look').nth(at).hover();
  await take(LONG / 2);
}
await page.mouse.move(0, 0);
await page.locator('.group-board .tile.best').first().click();
await take(LONG);
for (const value of ['0', '0.5']) {
  await page.evaluate(wanted => {
    const slider = document.querySelector('.group-board').shadowRoot.querySelector('.again input[type=range]');
    slider.value = wanted;
    slider.dispatchEvent(new Event('input'));
  }, value);
  await page.waitForTimeout(700);
  await take(LONG / 2);
}
console.log(JSON.stringify(durations));
await browser.close();
