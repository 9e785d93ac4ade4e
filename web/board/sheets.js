import { cell } from "./state.js";

// Pictures, each file fetched once, and shown when it is there: until then a tile keeps what it has.

/** @typedef {{address: string, place: number, count: number}} Source where a picture is: a place in a sheet of so many */
/** @typedef {{aspect: number} | null} Sheet aspect: of each picture; null: on its way, or refused */

export class Sheets {
  /** @param {() => void} came a sheet is there @param {(address: string) => boolean} refused one is not; whether it may be asked for again */
  constructor(came, refused) {
    this.came = came;
    this.refused = refused;
    this.clear();
  }

  /** Of another run there are none yet. */
  clear() {
    /** @type {Map<string, Sheet>} by address */
    this.known = new Map();
  }

  /** @param {string} address */
  has(address) {
    return this.known.has(address);
  }

  /** @param {HTMLElement} tile @param {Source} source */
  paint(tile, { address, place, count }) {
    const there = this.known.get(address);
    if (there) {
      const { position, size } = cell(place, count);
      Object.assign(tile.style, { backgroundImage: `url("${address}")`, backgroundPosition: position, backgroundSize: size });
      tile.style.setProperty("--aspect", String(there.aspect));
    } else if (!this.has(address)) {
      this.fetch(address, count);
    }
  }

  /** @param {string} address @param {number} count */
  fetch(address, count) {
    const { known } = this;
    known.set(address, null);
    const image = new Image();
    image.onload = () => {
      if (this.known !== known) return; // of a run that is no longer shown
      const { columns, rows } = cell(0, count);
      known.set(address, { aspect: image.naturalWidth / columns / (image.naturalHeight / rows) });
      this.came();
    };
    image.onerror = () => {
      if (this.known === known && this.refused(address)) known.delete(address);
    };
    image.src = address;
  }
}
