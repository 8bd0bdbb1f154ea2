// Maps are flat arrays in row-major order with their height and width beside them.

/** Offsets (dy, dx) of a pixel's neighbours in row-major order; 1: four of them, 2: eight. */
export function neighbourhood(connectivity) {
  const offsets = [];
  for (let dy = -1; dy <= 1; dy++) {
    for (let dx = -1; dx <= 1; dx++) {
      const steps = Math.abs(dy) + Math.abs(dx);
      if (steps > 0 && steps <= connectivity) offsets.push([dy, dx]);
    }
  }
  return offsets;
}

/** Ids 1, 2, ... of the connected parts of a mask, in the order of their first pixel. */
export function connectedComponents(mask, height, width, connectivity = 1) {
  const ids = new Int32Array(mask.length);
  const around = neighbourhood(connectivity);
  const waiting = [];
  let count = 0;
  for (let start = 0; start < mask.length; start++) {
    if (!mask[start] || ids[start]) continue;
    ids[start] = ++count;
    waiting.push(start);
    while (waiting.length) {
      const pixel = waiting.pop();
      const y = Math.floor(pixel / width), x = pixel % width;
      for (const [dy, dx] of around) {
        const ny = y + dy, nx = x + dx;
        if (ny < 0 || nx < 0 || ny >= height || nx >= width) continue;
        const other = ny * width + nx;
        if (mask[other] && !ids[other]) {
          ids[other] = count;
          waiting.push(other);
        }
      }
    }
  }
  return ids;
}

/** Drops objects with fewer pixels than `minSize` and numbers the others 1, 2, ... */
export function removeSmall(ids, minSize) {
  const sizes = counts(ids);
  const fresh = new Int32Array(sizes.length);
  for (let id = 1, next = 1; id < sizes.length; id++) {
    if (sizes[id] >= Math.max(minSize, 1)) fresh[id] = next++;
  }
  return ids.map((id) => fresh[id]);
}

/** Number of pixels of each id, background first. */
export function counts(ids) {
  const sizes = new Array(1 + highest(ids)).fill(0);
  for (const id of ids) sizes[id]++;
  return sizes;
}

/** The highest id. */
export function highest(ids) {
  let top = 0;
  for (const id of ids) if (id > top) top = id;
  return top;
}
