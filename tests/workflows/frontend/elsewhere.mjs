// node elsewhere.mjs CHROMIUM ADDRESS FOLDER GARDEN CUSTOM PICTURES: App mode; and in both node renderers boards of a node that samples with a
// Group Sampler, of a QIP Selector, in a subgraph and on a collapsed node, "more like this", and what many runs leave in memory; leaves
// pictures in FOLDER; prints JSON: {app: {...}, renderer: {...}}, see the end.
import fs from 'fs';
import { RENDERERS, reloaded, start } from './browser.mjs';
import { onboard } from './onboard.mjs';

const [browserPath, address, folder, ...files] = process.argv.slice(2);
const { browser, page, messages } = await start(browserPath, address);
const [garden, custom, pictures] = files.map(file => JSON.parse(fs.readFileSync(file)));
const onKSampler = onboard(page, folder);
const { board, set, show, load, queue, picture, over, tile, report } = onKSampler;
const QUICK = { schedule: 'paper', starting_candidates: 8, output_group_size: 2, pruning_ratio: 0.5 };

/** A board on a node whose inputs do not say who is chosen, or are images'. */
async function other(graph, editor, values, name) {
  const { inputs, set } = onboard(page, folder, editor);
  await load(graph);
  await set(values);
  if (graph === custom) await onboard(page, folder, 'EmptyLatentImage').set({ width: 64, height: 64 });
  await queue();
  await over();
  await show();
  await page.waitForTimeout(1000);
  await tile(0).press('p');
  const on = await page.evaluate(() => window.app.graph.nodes.find(node => node.widgets?.some(widget => widget.name === 'group_board')).type);
  await picture(name);
  return { on, board: await board(), pinned: (await inputs()).pinned, acts: await page.locator('.group-board .tools button').evaluateAll(all => all.map(one => one.dataset.act)) };
}

async function inSubgraph(seed, name) {
  await load(garden);
  await set({ ...QUICK, seed });
  const outer = await page.evaluate(() => {
    const { node } = window.app.graph.convertToSubgraph(new Set([window.app.graph.nodes.find(one => one.type === 'GroupKSampler')]));
    window.app.canvas.setDirty(true, true);
    return node.id;
  });
  await queue();
  await page.waitForFunction(id => window.app.graph.getNodeById(id).subgraph.nodes.some(node => node.properties.group_report?.seeds.length), outer, { timeout: 60000 });
  await page.evaluate(id => window.app.canvas.setGraph(window.app.graph.getNodeById(id).subgraph), outer);
  await page.waitForTimeout(1000);
  await show();
  await page.waitForTimeout(1000);
  await picture(name);
  const seen = await board();
  await page.evaluate(() => window.app.canvas.setGraph(window.app.graph));
  return seen;
}

async function collapsed(seed) {
  const collapse = () => page.evaluate(() => window.app.graph.nodes.find(node => node.type === 'GroupKSampler').collapse());
  await load(garden);
  await set({ ...QUICK, seed });
  await collapse();
  await page.waitForTimeout(300);
  await queue();
  await page.waitForFunction(() => window.app.graph.nodes.find(node => node.type === 'GroupKSampler').properties.group_report, null, { timeout: 60000 });
  await collapse();
  await page.waitForTimeout(500);
  return board();
}

/** What App mode shows of a run, where a Group Sheet is among the app's outputs, and the graph afterwards. */
async function inApp(seed, name) {
  const saver = garden.nodes.find(node => node.type === 'SaveImage').id;
  await load({ ...garden, extra: { ...garden.extra, linearData: { inputs: [], outputs: [saver, 77] } } });
  await set({ ...QUICK, seed });
  await page.evaluate(() => {
    const sheet = Object.assign(window.LiteGraph.createNode('GroupSheet'), { id: 77 });
    window.app.graph.add(sheet);
    const sampler = window.app.graph.nodes.find(node => node.type === 'GroupKSampler');
    sampler.connect(sampler.outputs.findIndex(output => output.name === 'report'), sheet, sheet.inputs.findIndex(input => input.name.endsWith('report0')));
  });
  const toggle = () => page.evaluate(() => window.app.extensionManager.command.execute('Comfy.ToggleLinear'));
  await toggle();
  await page.waitForTimeout(1000);
  await page.keyboard.press('Escape'); // what a new user is told
  await queue();
  const files = () => page.evaluate(() => [...document.querySelectorAll('img')].filter(one => one.offsetParent && one.src.includes('/view?')).map(one => new URL(one.src).searchParams.get('filename').split('_0')[0]));
  await page.waitForFunction(() => document.querySelectorAll('img[src*="filename=group_sheet"]').length, null, { timeout: 60000 });
  await page.waitForTimeout(500);
  const found = [...new Set(await files())].sort();
  const drawn = await page.locator('.group-board').isVisible();
  await picture(name);
  await toggle();
  await page.waitForTimeout(1000);
  return { files: found, drawn, board: await board() };
}

/** Follows the run before. */
async function moreLike(name) {
  await show();
  await tile(-1).click();
  const seed = await page.evaluate(() => document.querySelector('.group-board').shadowRoot.querySelector('.tile.current').dataset.seed);
  const press = () => page.locator('.group-board [data-act=like]').click();
  const nodes = () => page.evaluate(() => window.app.graph.nodes.map(node => node.type));
  const before = await nodes();
  await press();
  await page.waitForTimeout(1500);
  const added = (await nodes()).slice(before.length).sort();
  await press();
  await page.waitForTimeout(1500);
  const again = (await nodes()).length;
  await page.evaluate(() => {
    const node = window.app.graph.nodes.find(one => one.type === 'GroupKSampler');
    window.app.canvas.ds.scale = 0.6;
    window.app.canvas.ds.offset = [1500 - node.pos[0], 1000 - node.pos[1] - node.size[1]];
    window.app.canvas.setDirty(true, true);
  });
  await page.waitForTimeout(300);
  await picture(name);
  await queue();
  await page.waitForFunction(() => window.app.graph.nodes.find(node => node.type === 'GroupKSampler').properties.group_report.settings.unary.includes('reference'), null, { timeout: 60000 });
  return { seed, added, again: again - before.length - added.length, report: await report() };
}

/** Bytes that the page holds after many runs of five looks each, at all candidates. */
async function memory() {
  const seeds = Array.from({ length: 64 }, (_, i) => String(i));
  const rounds = Array.from({ length: 5 }, (_, step) => ({ step, seeds, kept: seeds.slice(0, 60 - 10 * step), unary: seeds.map(Number), pairwise: null, nearest: null, nearest_distance: null, parts: {} }));
  const made = await report();
  const fake = run => ({ run, status: 'running', shows: true, report: { ...made, id: run, seeds: [], rounds } });
  const sheet = await (await page.request.get(`${address}/group_inference/board/${made.id}/results.webp`)).body();
  await page.route(/\/group_inference\/board\/many/, route => (route.request().url().includes('.webp') ? route.fulfill({ body: sheet, contentType: 'image/webp' }) : route.fulfill({ json: fake(route.request().url().split('/').at(-1)) })));
  const client = await page.context().newCDPSession(page);
  const held = async () => {
    await client.send('HeapProfiler.collectGarbage');
    return (await client.send('Runtime.getHeapUsage')).usedSize;
  };
  const sizes = [];
  for (let i = 0; i < 100; i++) {
    await page.evaluate(number => {
      const node = String(window.app.graph.nodes.find(one => one.type === 'GroupKSampler').id);
      window.app.api.dispatchEvent(new CustomEvent('group_inference.board', { detail: { node, run: `many${number}`, begun: 9e9 + number, said: 1 } }));
    }, i);
    await page.waitForTimeout(60);
    if (i % 20 === 19) sizes.push(await held());
  }
  await page.unroute(/\/group_inference\/board\/many/);
  return { sizes, tiles: (await board()).tiles };
}

messages.length = 0;
const seen = { app: await inApp(20000, 'app') };
seen.app.messages = [...messages];
for (const [renderer, isVue] of RENDERERS) {
  await reloaded(page, isVue);
  messages.length = 0;
  const seed = isVue ? 21000 : 22000;
  seen[renderer] = {
    sampler: await other(custom, 'GroupSampler', QUICK, `${renderer} custom sampling`),
    selector: await other(pictures, 'QIPSelector', { folder: 'board', output_group_size: 2 }, `${renderer} selector`),
    subgraph: await inSubgraph(seed, `${renderer} subgraph`),
    collapsed: await collapsed(seed + 100),
    alike: await moreLike(`${renderer} more like this`),
    memory: await memory(),
    messages: [...messages],
  };
}
console.log(JSON.stringify(seen));
await browser.close();
