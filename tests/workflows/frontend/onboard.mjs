// What programs do with a board and the node whose inputs it edits, of a type.
import path from 'path';

export function onboard(page, folder, editor = 'GroupKSampler') {
  const board = () =>
    page.evaluate(() => {
      const root = document.querySelector('.group-board')?.shadowRoot;
      if (!root) return null;
      const tiles = [...root.querySelectorAll('.tile')];
      const count = name => tiles.filter(tile => tile.classList.contains(name)).length;
      const shown = tiles.filter(tile => tile.style.backgroundImage).length;
      const text = name => root.querySelector(name).textContent;
      return {
        tiles: tiles.length, left: count('left'), best: count('best'), pinned: count('pinned'), banned: count('banned'), shown, head: text('.head'), about: text('.about'),
        bars: root.querySelectorAll('.bar').length, looks: root.querySelectorAll('.bar.look').length, drawn: root.querySelectorAll('svg').length,
        seeds: tiles.map(tile => tile.dataset.seed), finished: tiles.filter(tile => tile.style.backgroundImage.includes('/view?')).length,
        paused: root.querySelector('[data-act=goOn]')?.parentElement.textContent ?? '',
      };
    });
  const inputs = () => page.evaluate(type => Object.fromEntries(window.app.graph.nodes.find(node => node.type === type).widgets.map(widget => [widget.name, widget.value])), editor);
  const set = values =>
    page.evaluate(
      ([type, wanted]) => {
        const { widgets } = window.app.graph.nodes.find(node => node.type === type);
        for (const [name, value] of Object.entries(wanted)) widgets.find(widget => widget.name === name).value = value;
      },
      [editor, values],
    );
  const show = () =>
    page.evaluate(() => {
      const node = window.app.canvas.graph.nodes.find(one => one.widgets?.some(widget => widget.name === 'group_board')) ?? window.app.canvas.graph.nodes.find(one => one.type === 'GroupKSampler');
      window.app.canvas.ds.scale = 1;
      const bottom = node.pos[1] + node.size[1];
      window.app.canvas.ds.offset = [200 - node.pos[0], 940 - bottom];
      window.app.canvas.setDirty(true, true);
    });
  /** What keeps people from reading or reaching it, by axe-core, which cannot judge colours over a canvas: all else is hidden meanwhile. */
  const barriers = async () => {
    await page.addScriptTag({ path: path.join(import.meta.dirname, 'node_modules', 'axe-core', 'axe.min.js') });
    const found = await page.evaluate(async () => {
      const board = document.querySelector('.group-board');
      const [place, next, style, alone] = [board.parentNode, board.nextSibling, board.style.cssText, document.createElement('style')];
      alone.textContent = 'body > :not(.group-board), body > :not(.group-board) * { visibility: hidden !important; }';
      document.head.append(alone);
      document.body.append(board);
      Object.assign(board.style, { position: 'fixed', inset: '0' });
      try {
        return await window.axe.run(board);
      } finally {
        alone.remove();
        board.style.cssText = style;
        place.insertBefore(board, next);
      }
    });
    return {
      judged: found.passes.filter(({ id }) => id === 'color-contrast').flatMap(({ nodes }) => nodes).length,
      barred: found.violations.flatMap(({ id, nodes }) => nodes.map(node => `${id}: ${node.html}: ${node.failureSummary}`)),
    };
  };
  return {
    board, inputs, set, show, barriers,
    load: async graph => {
      await page.evaluate(saved => window.app.loadGraphData(saved), graph);
      await page.waitForTimeout(1500);
    },
    queue: async () => {
      const refused = await page.evaluate(async () => {
        await window.app.queuePrompt(0, 1);
        return window.app.lastNodeErrors ?? {};
      });
      if (Object.keys(refused).length) throw new Error(`The host refuses the workflow: ${JSON.stringify(refused)}`);
    },
    picture: name => page.screenshot({ path: path.join(folder, `${name}.png`) }),
    over: () => page.waitForFunction(() => document.querySelector('.group-board')?.shadowRoot.querySelectorAll('.tile.best').length, null, { timeout: 120000 }),
    tile: number => page.locator('.group-board .tile').nth(number),
    report: () => page.evaluate(() => window.app.graph.nodes.find(node => node.properties.group_report)?.properties.group_report ?? null),
  };
}
