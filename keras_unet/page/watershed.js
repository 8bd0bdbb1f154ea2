// Meyer's flooding, step by step as `keras_unet.objects.watershed_from_seeds` does it.
import { neighbourhood } from "./arrays.js";

/** Every pixel of the mask goes to the seed whose water reaches it first; changes `ids`. */
export function flood(heights, ids, mask, height, width, connectivity = 1) {
  const around = neighbourhood(connectivity);
  const waiting = new Queue();
  for (let pixel = 0; pixel < ids.length; pixel++) {
    if (!mask[pixel]) ids[pixel] = 0;
    else if (ids[pixel]) waiting.push(heights[pixel], pixel);
  }
  while (waiting.size) {
    const [level, pixel] = waiting.pop();
    const y = Math.floor(pixel / width), x = pixel % width;
    for (const [dy, dx] of around) {
      const ny = y + dy, nx = x + dx;
      if (ny < 0 || nx < 0 || ny >= height || nx >= width) continue;
      const other = ny * width + nx;
      if (mask[other] && !ids[other]) {
        ids[other] = ids[pixel];
        waiting.push(Math.max(level, heights[other]), other);
      }
    }
  }
  return ids;
}

/** A heap: the lowest first, of equal ones the longest waiting. */
class Queue {
  constructor() {
    this.entries = [];
    this.pushed = 0;
  }

  get size() {
    return this.entries.length;
  }

  push(level, pixel) {
    const { entries } = this, entry = [level, pixel, this.pushed++];
    let at = entries.length;
    entries.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(entry, entries[parent])) break;
      entries[at] = entries[parent];
      at = parent;
    }
    entries[at] = entry;
  }

  pop() {
    const { entries } = this, top = entries[0], last = entries.pop();
    const size = entries.length;
    for (let at = 0; at < size; ) {
      let child = 2 * at + 1;
      if (child + 1 < size && before(entries[child + 1], entries[child])) child++;
      if (child >= size || !before(entries[child], last)) {
        entries[at] = last;
        break;
      }
      entries[at] = entries[child];
      at = child;
    }
    return top;
  }
}

function before(one, other) {
  return one[0] < other[0] || (one[0] === other[0] && one[2] < other[2]);
}
