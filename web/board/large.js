import { element } from "./dom.js";

// One picture large, or two under a slider, until it is closed.

/**
 * @param {HTMLElement} place
 * @param {{style: string, name: string}[]} pictures style: what paints it
 * @param {string} close in words
 * @param {() => void} closed
 */
export function enlarge(place, pictures, close, closed) {
  const shown = pictures.map(({ style, name }) => {
    const picture = element("div", "picture");
    picture.style.cssText = style;
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", name);
    return picture;
  });
  const frame = element("div", "frame");
  frame.append(...shown);
  const button = element("button", "", close);
  button.onclick = () => {
    place.hidden = true;
    closed();
  };
  place.onkeydown = (event) => event.key === "Escape" && button.click();
  place.replaceChildren(element("div", "", pictures.map(({ name }) => name).join(" | ")), frame, ...(shown[1] ? [slider(shown[1])] : []), button);
  place.hidden = false;
  button.focus();
}

/** Moves the edge of the picture that lies above. @param {HTMLElement} above */
function slider(above) {
  const made = /** @type {HTMLInputElement} */ (element("input"));
  Object.assign(made, { type: "range", min: "0", max: "100", value: "50" });
  const move = () => (above.style.clipPath = `inset(0 0 0 ${made.value}%)`);
  made.oninput = move;
  move();
  return made;
}
