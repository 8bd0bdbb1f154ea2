// Runs the exported network in the browser: nothing leaves the computer.
import { loadAndCompile, loadLiteRt, Tensor } from "./litert/litert.js";
import { decode } from "./decoding.js";
import { normalize } from "./normalization.js";
import { predictTiles } from "./tiling.js";

export const privacy = "The image stays on this computer.";

/** A function of (file, picture, progress) that segments. */
export async function start(config) {
  await loadLiteRt(new URL("litert/wasm/", document.baseURI).href);
  const model = await loadAndCompile(new URL(config.model, document.baseURI).href, {
    accelerator: "wasm",
  });
  const { channels, geometry, tile } = config;

  async function run(values) {
    const input = new Tensor(values, [1, ...tile, channels]);
    const [output] = await model.run([input]);
    const result = output.toTypedArray().slice();
    input.delete();
    output.delete();
    return result;
  }

  return async (file, picture, progress) => {
    const { height, width } = picture;
    const values = normalize(channelsOf(picture, channels), channels, config.normalization);
    const found = await predictTiles(values, height, width, channels, geometry, tile, run, progress);
    return decode(found, height, width, config.target);
  };
}

/** Red, green and blue, or for a network of one channel the grey value. */
function channelsOf({ data }, channels) {
  const values = new Uint8Array((data.length / 4) * channels);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    if (channels === 3) for (let c = 0; c < 3; c++) values[to++] = data[from + c];
    else values[to++] = grey(data[from], data[from + 1], data[from + 2]);
  }
  return values;
}

function grey(red, green, blue) {
  return red === green && green === blue
    ? red
    : Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
}
