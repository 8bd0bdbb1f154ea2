// From the network's probabilities to classes and objects, as `keras_unet.targets` does it.
import { connectedComponents, highest, removeSmall } from "./arrays.js";
import { flood } from "./watershed.js";

const DECODERS = { classes: decodeClasses, seeds: decodeSeeds };

/** `{classes, instances}` of probabilities `(height, width, channels)`. */
export function decode(probabilities, height, width, target) {
  return DECODERS[target.name](probabilities, height, width, target.config);
}

function decodeClasses(p, height, width, config) {
  const channels = config.num_classes, threshold = Math.fround(config.threshold);
  const classes = new Int32Array(height * width);
  for (let pixel = 0, at = 0; pixel < classes.length; pixel++, at += channels) {
    let best = 1;
    for (let c = 2; c < channels; c++) if (p[at + c] > p[at + best]) best = c;
    const top = p[at + best];
    if (top > Math.fround(threshold * Math.fround(p[at] + top))) classes[pixel] = best;
  }
  return objectsOf(classes, height, width, config);
}

/** Connected components of each class; `classes` loses the objects that are too small. */
export function objectsOf(classes, height, width, config) {
  const instances = new Int32Array(classes.length);
  let found = 0;
  for (let value = 1; value <= highest(classes); value++) {
    const mask = classes.map((one) => Number(one === value));
    let parts = connectedComponents(mask, height, width, config.connectivity);
    if (config.min_size > 1) parts = removeSmall(parts, config.min_size);
    parts.forEach((id, pixel) => {
      if (id) instances[pixel] = id + found;
    });
    found += highest(parts);
  }
  return { classes: classes.map((one, pixel) => (instances[pixel] ? one : 0)), instances };
}

function decodeSeeds(p, height, width, config) {
  const threshold = Math.fround(config.threshold), seedThreshold = Math.fround(config.seed_threshold);
  const size = height * width;
  const cells = new Uint8Array(size), tops = new Uint8Array(size), surface = new Float32Array(size);
  for (let pixel = 0; pixel < size; pixel++) {
    const depth = p[2 * pixel + 1];
    cells[pixel] = Number(p[2 * pixel] > threshold);
    tops[pixel] = Number(cells[pixel] && depth > seedThreshold);
    surface[pixel] = -depth;
  }
  const { connectivity } = config;
  const ids = removeSmall(connectedComponents(tops, height, width, connectivity), config.min_seed_size);
  const parts = connectedComponents(cells, height, width, connectivity);
  const seeded = new Uint8Array(1 + highest(parts)), seeds = highest(ids);
  ids.forEach((id, pixel) => {
    if (id) seeded[parts[pixel]] = 1;
  });
  parts.forEach((part, pixel) => {
    if (part && !seeded[part]) ids[pixel] = part + seeds;
  });
  const instances = removeSmall(
    flood(surface, ids, cells, height, width, connectivity), config.min_size);
  return { classes: instances.map((id) => Number(id > 0)), instances };
}
