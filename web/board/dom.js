// Parts of a page.

/** @param {string} tag @param {string} [name] @param {string} [text] */
export function element(tag, name = "", text = "") {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}

/** @param {string} tag @param {Record<string, string | number>} attributes */
export function svg(tag, attributes) {
  const made = /** @type {SVGElement} */ (document.createElementNS("http://www.w3.org/2000/svg", tag));
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}
