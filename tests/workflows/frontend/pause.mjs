// node pause.mjs CHROMIUM ADDRESS FILE FOLDER RENDERER: runs a workflow with a Group KSampler that pauses, and takes part; leaves pictures in
// FOLDER; prints JSON, see the end of `look`.
import fs from 'fs';
import { ready, start } from './browser.mjs';
import { onboard } from './onboard.mjs';

const [browserPath, address, file, folder, renderer] = process.argv.slice(2);
const { browser, page, messages } = await start(browserPath, address, renderer === 'vue');
const saved = JSON.parse(fs.readFileSync(file));
const { board, inputs, set, show, barriers, load, queue, picture, over, tile, report } = onboard(page, folder);
const goOn = page.locator('.group-board [data-act=goOn]');
const seconds = async () => Number((await board()).paused.match(/(\d+) s/)[1]);
const wait = number => page.request.post(`${address}/tiny/pause/${number}`);
const stopped = () => page.waitForFunction(() => document.querySelector('.group-board').shadowRoot.querySelector('.head').textContent.includes('stopped'));

async function look(seed) {
  await load(saved);
  await set({ seed, schedule: 'paper', starting_candidates: 24, pruning_ratio: 0.4, steps: 20, pause_at: 0.3 });
  await page.mouse.click(1400, 950); // what a page keeps when it is loaded anew
  await page.waitForTimeout(1500);
  await show();
  await queue();
  await goOn.waitFor({ timeout: 60000 });
  // A page that is loaded anew finds it waiting, and the seconds go.
  await page.reload();
  await ready(page);
  messages.length = 0; // of a page that starts
  await goOn.waitFor({ timeout: 60000 });
  const reloaded = await board();
  const [before] = [await seconds(), await page.waitForTimeout(2500)];
  const after = await seconds();
  await show();
  await page.waitForTimeout(300);
  await picture(`${renderer} paused`);
  const theme = name => page.evaluate(palette => window.app.extensionManager.setting.set('Comfy.ColorPalette', palette), name);
  await theme('light');
  await page.waitForTimeout(800);
  await picture(`${renderer} paused light`);
  const reading = await barriers();
  await theme('dark');
  const [ban, pin] = await page.evaluate(() => {
    const tiles = [...document.querySelector('.group-board').shadowRoot.querySelectorAll('.tile')];
    return [tiles.findIndex(one => !one.classList.contains('left')), tiles.findIndex(one => one.classList.contains('left'))];
  });
  const { seeds } = await board();
  await tile(ban).press('b');
  await tile(pin).press('p');
  await page.waitForTimeout(500);
  const held = await seconds();
  // What cannot be is said, and the run waits on.
  await set({ output_group_size: 99 });
  await goOn.click();
  await page.waitForTimeout(500);
  const refused = await board();
  await set({ output_group_size: 4 });
  await page.evaluate(() => {
    const slider = document.querySelector('.group-board').shadowRoot.querySelector('.again input[type=range]');
    slider.value = '1';
    slider.dispatchEvent(new Event('input'));
  });
  await goOn.click();
  await over();
  const ended = { board: await board(), inputs: await inputs(), report: await report() };
  // It goes on by itself, with what was said by then.
  await set({ seed: seed + 500, pinned: '', banned: '' });
  await wait(3);
  await queue();
  await set({ lambda_score: 7 }); // for the next one
  await goOn.waitFor({ timeout: 60000 });
  await tile(ban).press('b');
  const banned = (await inputs()).banned;
  await page.waitForFunction(first => window.app.graph.nodes.find(node => node.type === 'GroupKSampler').properties.group_report.settings.seed === first, String(seed + 500), { timeout: 60000 });
  const byItself = await report();
  // It is stopped while it waits.
  await wait(60);
  await set({ seed: seed + 600, banned: '' });
  await queue();
  await goOn.waitFor({ timeout: 60000 });
  await page.evaluate(() => window.app.api.interrupt());
  await stopped();
  const interrupted = await board();
  return { reloaded, reading, before, after, held, ban: seeds[ban], pin: seeds[pin], refused, ended, banned, byItself, interrupted };
}

const other = await page.context().newPage();
const elsewhere = [];
other.on('pageerror', error => elsewhere.push(String(error)));
await other.goto(address);
await ready(other);
await onboard(other, folder).load(saved);
messages.length = 0;
const seen = await look(8000);
seen.messages = [...messages];
// The other tab hears nothing of this one's runs.
seen.other = { board: await onboard(other, folder).board(), messages: elsewhere };
console.log(JSON.stringify(seen));
await browser.close();
