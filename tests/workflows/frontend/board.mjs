// node board.mjs CHROMIUM ADDRESS FILE FOLDER RENDERER: runs a workflow with a Group KSampler and looks at the board; leaves pictures in
// FOLDER; prints JSON, see the end of `look`.
import fs from 'fs';
import { ready, start } from './browser.mjs';
import { onboard } from './onboard.mjs';

const [browserPath, address, file, folder, renderer] = process.argv.slice(2);
const { browser, page, messages } = await start(browserPath, address, renderer === 'vue');
const saved = JSON.parse(fs.readFileSync(file));

const { board, inputs, set, show, barriers, load, queue, picture, over, tile, report } = onboard(page, folder);

/** Waits for finished pictures; a test says so if there are none. */
const decoded = () =>
  page
    .waitForFunction(() => [...document.querySelector('.group-board').shadowRoot.querySelectorAll('.tile.best')].every(tile => tile.style.backgroundImage.includes('/view?')), null, { timeout: 60000 })
    .catch(() => {});

async function look(seed) {
  await load(saved);
  await set({ seed, schedule: 'paper', starting_candidates: 24, pruning_ratio: 0.15, steps: 20 });
  await show();
  const before = await board();
  const asked = [];
  const note = request => request.url().includes('/group_inference/') && asked.push(new URL(request.url()).pathname);
  page.on('request', note);
  await queue();
  const states = [];
  for (let i = 0; i < 400 && !states.at(-1)?.best; i++) {
    const now = await board();
    if (now && !states.length) await show(); // the node has grown
    if (now && JSON.stringify(now) !== JSON.stringify(states.at(-1))) {
      states.push(now);
      if (now.left && !now.best) await picture(`${renderer} live`);
    }
    await page.waitForTimeout(50);
  }
  await over();
  await show();
  await decoded();
  const after = await board();
  const read = await page.locator('.group-board').ariaSnapshot();
  await tile(0).hover();
  const hovered = (await board()).about;
  const reading = [];
  const bar = page.locator('.group-board .bar.look').first();
  await bar.hover();
  const asItWas = await board();
  await tile(0).click();
  await picture(`${renderer} over`);
  await tile(0).press('p');
  await tile(0).press('ArrowRight');
  await page.keyboard.press('b');
  const marked = [await board(), await inputs()];
  await page.keyboard.press('Enter');
  const large = await page.locator('.group-board .picture').count();
  await page.keyboard.press('Escape');
  const closed = await page.locator('.group-board .large').isHidden();
  await page.locator('.group-board [data-act=compare]').click();
  await tile(0).click();
  await picture(`${renderer} compared`);
  const compared = await page.locator('.group-board .picture').count();
  await page.keyboard.press('Escape');
  await set({ pinned: '', banned: '' });
  // Of the host's palettes the one with the least contrast, and a light one.
  for (const palette of ['solarized', 'light', 'dark']) {
    await page.evaluate(name => window.app.extensionManager.setting.set('Comfy.ColorPalette', name), palette);
    await page.waitForTimeout(800);
    await picture(`${renderer} ${palette}`);
    reading.push(await barriers());
  }
  // Another lambda, tried and then applied: the run that follows takes what there is.
  const weigh = value =>
    page.evaluate(wanted => {
      const slider = document.querySelector('.group-board').shadowRoot.querySelector('.again input[type=range]');
      slider.value = wanted;
      slider.dispatchEvent(new Event('input'));
    }, String(value));
  await weigh(0);
  await page.waitForTimeout(600);
  const would = await page.evaluate(() => [...document.querySelector('.group-board').shadowRoot.querySelectorAll('.tile.would')].map(one => one.dataset.seed));
  const tried = (await board()).about;
  await picture(`${renderer} tried`);
  // What says nothing, much, or nothing new.
  const known = await page.evaluate(() => {
    const node = String(window.app.graph.nodes.find(one => one.type === 'GroupKSampler').id);
    const words = [undefined, {}, { node: '77', run: 'x' }, { node, run: 'none', begun: 1, rounds: 99, status: 'done' }, { node, run: 'x'.repeat(1e6), begun: 1 }, { node: '1:2:3', run: 'y', begun: 9e9 }];
    for (const detail of words) window.app.api.dispatchEvent(new CustomEvent('group_inference.board', { detail }));
    return words.length;
  });
  await page.waitForTimeout(500);
  const undisturbed = await board();
  page.off('request', note);
  // Finished files that are no pictures.
  await page.evaluate(() => {
    const node = String(window.app.graph.nodes.find(one => one.type === 'SaveImage').id);
    const images = Array.from({ length: 4 }, (_, i) => ({ filename: `${i}.mp4`, subfolder: '', type: 'output' }));
    window.app.api.dispatchEvent(new CustomEvent('executed', { detail: { node, display_node: node, output: { images } } }));
  });
  await page.waitForFunction(() => ![...document.querySelector('.group-board').shadowRoot.querySelectorAll('.tile')].some(tile => tile.style.backgroundImage.includes('/view?')), null, { timeout: 10000 }).catch(() => {});
  const videos = await board();
  await page.locator('.group-board [data-act=apply]').click();
  const applied = await inputs();
  await queue();
  await page.waitForFunction(() => window.app.graph.nodes.find(node => node.type === 'GroupKSampler').properties.group_report?.settings.lambda_score === 0, null, { timeout: 60000 });
  const again = await report();
  await page.waitForTimeout(1000); // what the node says comes last
  const lowest = await page.evaluate(() => window.app.graph.nodes.find(node => node.type === 'GroupKSampler').widgets.at(-1).name);
  // One that had left is finished alone.
  const last = (await board()).seeds.at(-1);
  await tile(-1).click();
  await page.locator('.group-board [data-act=finish]').click();
  await page.waitForFunction(() => window.app.graph.nodes.find(node => node.type === 'GroupKSampler').properties.group_report.seeds.length === 1, null, { timeout: 60000 });
  const alone = { seed: last, inputs: await inputs(), ...(await report()) };
  // A picture that is dropped brings its workflow; of a run that no server knows there are no pictures.
  const dropped = await page.evaluate(report => {
    const graph = window.app.graph.serialize();
    graph.nodes.find(node => node.type === 'GroupKSampler').properties.group_report = { ...report, id: '0'.repeat(32) };
    return graph;
  }, again);
  await load(dropped);
  await show();
  await page.waitForTimeout(300);
  const back = await board();
  await picture(`${renderer} dropped`);
  return { read, reading, large, closed, alone, back, would, tried, applied, again, lowest, before, states, after, hovered, asItWas, marked, compared, known, undisturbed, videos, asked };
}

messages.length = 0;
const seen = await look(renderer === 'vue' ? 1000 : 2000);
seen.messages = [...messages];
// Another run, of which the page is loaded anew, however long that takes; its node keeps what it was set to with the next click.
const slow = seconds => page.request.post(`${address}/tiny/slow/${seconds}`);
await set({ seed: 3000, seeds: '', output_group_size: 4, starting_candidates: 30 });
await page.mouse.click(1400, 950);
await page.waitForTimeout(1500);
await slow(5);
await queue();
const all = () => document.querySelector('.group-board')?.shadowRoot.querySelectorAll('.tile').length === 30;
await page.waitForFunction(all);
await page.reload();
await ready(page);
await page.waitForFunction(all, null, { timeout: 60000 });
seen.reloaded = await board();
await slow(0);
await over();
await decoded();
seen.finished = await board();
console.log(JSON.stringify(seen));
await browser.close();
