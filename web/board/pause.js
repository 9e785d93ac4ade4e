import { element } from "./dom.js";

// A run that waits: for how long, and the way on.

const SECOND = 1000;

/**
 * @param {number} seconds until it goes on by itself
 * @param {(key: string) => string} words
 * @param {() => Promise<unknown>} goOn
 */
export function pause(seconds, words, goOn) {
  const shown = element("span");
  const button = element("button", "", words("goOn"));
  button.dataset.act = "goOn";
  button.onclick = (event) => {
    event.stopPropagation(); // of those who tell that somebody is there
    goOn();
  };
  let until = 0;
  const draw = () => {
    const left = Math.ceil((until - performance.now()) / SECOND);
    shown.textContent = `${words("paused")} ${Math.max(0, left)} s`;
    if (left <= 0) clearInterval(timer);
  };
  const timer = setInterval(draw, SECOND);
  const stay = (more) => {
    until = performance.now() + more * SECOND;
    draw();
  };
  stay(seconds);
  return { parts: [shown, button], stay, over: () => clearInterval(timer) };
}
