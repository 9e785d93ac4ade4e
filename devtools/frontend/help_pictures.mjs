// node help_pictures.mjs CHROMIUM ADDRESS FILE FOLDER: draws FOLDER/NAME.png for every NAME of the JSON in FILE, {NAME: {graph, shown, runs}}:
// a graph in API form, which the frontend arranges, the ids of the nodes to be seen, and whether it is run first; prints JSON: [NAME].
import fs from 'fs';
import path from 'path';
import { start } from './browser.mjs';

const [browserPath, address, file, folder] = process.argv.slice(2);
const scenes = JSON.parse(fs.readFileSync(file));
const MARGIN = 15;
const { browser, page } = await start(browserPath, address, true);
// Nothing beside the nodes, and on them no badge of the pack, which every node of it would have.
await page.evaluate(async () => {
  const { setting } = window.app.extensionManager;
  await setting.set('Comfy.Minimap.Visible', false);
  await setting.set('Comfy.NodeBadge.NodeSourceBadgeMode', 'None');
});

async function run() {
  await page.evaluate(() => {
    window.ran = false;
    window.app.api.addEventListener('execution_success', () => (window.ran = true));
    return window.app.queuePrompt(0, 1);
  });
  await page.waitForFunction(() => window.ran, null, { timeout: 120000 });
}

/** The part of the page that the nodes fill. */
const box = ids =>
  page.evaluate(ids => {
    const boxes = ids.map(id => document.querySelector(`[data-node-id="${id}"]`).getBoundingClientRect());
    const [left, top] = ['left', 'top'].map(side => Math.min(...boxes.map(box => box[side])));
    return { x: left, y: top, width: Math.max(...boxes.map(box => box.right)) - left, height: Math.max(...boxes.map(box => box.bottom)) - top };
  }, ids);

for (const [name, { graph, shown, runs }] of Object.entries(scenes)) {
  await page.evaluate(
    ([name, graph]) => {
      window.app.loadApiJson(graph, name);
      window.app.canvas.ds.scale = 0.75;
    },
    [name, graph],
  );
  await page.waitForTimeout(1000);
  const linked = await page.evaluate(() => window.app.graph.links.size);
  const wanted = Object.values(graph).flatMap(node => Object.values(node.inputs)).filter(Array.isArray).length;
  if (linked !== wanted) throw new Error(`The picture of ${name} has ${linked} links, not ${wanted}: an input of its scene is not there.`);
  await page.evaluate(shown => {
    // Once more, now that all nodes have their size.
    window.app.graph.arrange();
    // Away from the frontend's own bars.
    const places = shown.map(id => window.app.graph.getNodeById(id).pos);
    window.app.canvas.ds.offset = [0, 1].map(axis => [300, 200][axis] - Math.min(...places.map(place => place[axis])));
  }, shown);
  await page.waitForTimeout(500);
  if (runs) await run();
  await page.waitForTimeout(1500);
  const { x, y, width, height } = await box(shown);
  const clip = { x: x - MARGIN, y: y - MARGIN, width: width + 2 * MARGIN, height: height + 2 * MARGIN };
  await page.screenshot({ path: path.join(folder, `${name}.png`), clip });
}
console.log(JSON.stringify(Object.keys(scenes)));
await browser.close();
