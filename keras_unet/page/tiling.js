// Overlap tiles with mirrored borders, as `keras_unet.inference.tiling.plan_fixed` plans them.

/** Segments normalized values `(height, width, channels)` with a network for tiles of one size. */
export async function predictTiles(values, height, width, channels, geometry, tile, run, progress) {
  const { margin, stride, padding } = geometry;
  const [rows, columns] = [height, width].map((size, axis) => plan(size, tile[axis], margin, stride));
  const outputWidth = padding === "valid" ? tile[1] - 2 * margin : tile[1];
  const skip = padding === "valid" ? 0 : margin;
  const buffer = new Float32Array(tile[0] * tile[1] * channels);
  let probabilities = null, done = 0;
  for (const top of rows.starts) {
    for (const left of columns.starts) {
      readTile(values, height, width, channels, top - margin, left - margin, tile, buffer);
      const output = await run(buffer);
      const planes = output.length / (outputWidth * (padding === "valid" ? tile[0] - 2 * margin : tile[0]));
      probabilities ??= new Float32Array(height * width * planes);
      const right = Math.min(left + columns.step, width);
      for (let y = top; y < Math.min(top + rows.step, height); y++) {
        const from = ((y - top + skip) * outputWidth + skip) * planes;
        const line = output.subarray(from, from + (right - left) * planes);
        probabilities.set(line, (y * width + left) * planes);
      }
      progress(++done / (rows.starts.length * columns.starts.length));
    }
  }
  return probabilities;
}

function plan(size, tile, margin, stride) {
  const step = Math.floor((tile - 2 * margin) / stride) * stride;
  const starts = [];
  for (let start = 0; start < size; start += step) starts.push(start);
  return { step, starts };
}

function readTile(values, height, width, channels, top, left, tile, out) {
  for (let y = 0, to = 0; y < tile[0]; y++) {
    const row = mirror(top + y, height) * width;
    for (let x = 0; x < tile[1]; x++) {
      const from = (row + mirror(left + x, width)) * channels;
      for (let c = 0; c < channels; c++) out[to++] = values[from + c];
    }
  }
}

/** The pixel that is seen at a place outside the image; the border pixel is not repeated. */
function mirror(place, size) {
  if (size === 1) return 0;
  const period = 2 * (size - 1), rest = ((place % period) + period) % period;
  return rest < size ? rest : period - rest;
}
