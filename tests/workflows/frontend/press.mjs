// node press.mjs CHROMIUM ADDRESS FILE: makes a group of a workflow's KSampler by its menu, runs it, and reloads the page, in both node
// renderers; prints JSON: {renderer: {before, api, said, sent, again, colors}}: the graph before and after, what the node says after the
// run and after the reload, the properties of nodes that another run is sent with, and the colour of a socket in the canvas and in CSS.
import fs from 'fs';
import { RENDERERS, ready, reloaded, start } from './browser.mjs';

const [browserPath, address, file] = process.argv.slice(2);
const { browser, page } = await start(browserPath, address);
const graph = async () => page.evaluate(async () => (await window.app.graphToPrompt()).output);
// Waited for, since it comes when the run is done, and after the graph is there again.
const said = async () => {
  const text = () => {
    const node = window.app.graph?._nodes.find(node => node.type === 'GroupKSampler');
    const value = node?.widgets.find(widget => widget.type === 'progressText')?.value;
    return value && !value.startsWith('Plan') && value;
  };
  return (await page.waitForFunction(text, null, { timeout: 120000 })).jsonValue();
};

async function replace() {
  const place = await page.evaluate(() => {
    const { pos } = window.app.graph._nodes.find(node => node.type === 'KSampler');
    const [x, y] = window.app.canvas.ds.convertOffsetToCanvas([pos[0] + 60, pos[1] - 12]);
    const { left, top } = window.app.canvas.canvas.getBoundingClientRect();
    return [x + left, y + top];
  });
  await page.mouse.click(...place, { button: 'right' });
  await page.getByText('Replace by Group KSampler').first().click();
  await page.waitForTimeout(500);
}

const seen = {};
for (const [renderer, isVue] of RENDERERS) {
  await reloaded(page, isVue);
  await page.evaluate(saved => window.app.loadGraphData(saved), JSON.parse(fs.readFileSync(file)));
  await page.waitForTimeout(1500);
  // Another seed each: of a run that the host has done before nothing is said again.
  await page.evaluate(seed => (window.app.graph._nodes.find(node => node.type === 'KSampler').widgets[0].value = seed), isVue ? 78 : 77);
  const before = await graph();
  await replace();
  const api = await graph();
  const found = (seen[renderer] = { before, api });
  await page.evaluate(() => window.app.queuePrompt(0, 1));
  found.said = await said();
  const sent = page.waitForRequest(request => request.url().endsWith('/prompt') && request.method() === 'POST');
  await page.evaluate(() => window.app.queuePrompt(0, 1));
  found.sent = JSON.parse((await sent).postData()).extra_data.extra_pnginfo.workflow.nodes.map(node => Object.keys(node.properties));
  await page.waitForTimeout(1500);
  // What a node keeps is saved with the next click.
  await page.mouse.click(1400, 950);
  await page.waitForTimeout(1500);
  await page.reload();
  await ready(page);
  found.again = await said();
  found.colors = await page.evaluate(() => [
    window.app.canvas.default_connection_color_byType.GROUP_UNARY,
    getComputedStyle(document.documentElement).getPropertyValue('--color-datatype-GROUP_UNARY'),
  ]);
}
console.log(JSON.stringify(seen));
await browser.close();
