// Overlap tiles with mirrored borders, as `keras_unet.geometry.tiles.plan_fixed` plans them.

/** Segments normalized values `(height, width, channels)` with a network for tiles of one size. */
export async function predictTiles(values, height, width, channels, geometry, tile, run, progress) {
  const [rows, columns] = [height, width].map((size, axis) => plan(size, tile[axis], geometry));
  const lost = geometry.padding === "valid" ? geometry.margin : 0;
  const [outputHeight, outputWidth] = tile.map((size) => size - 2 * lost);
  const buffer = new Float32Array(tile[0] * tile[1] * channels);
  let probabilities = null, done = 0;
  for (const row of rows) {
    for (const column of columns) {
      readTile(values, height, width, channels, row.start, column.start, tile, buffer);
      const output = await run(buffer);
      const planes = output.length / (outputHeight * outputWidth);
      probabilities ??= new Float32Array(height * width * planes);
      const left = column.begin - column.start - lost;
      for (let y = row.begin; y < row.stop; y++) {
        const from = ((y - row.start - lost) * outputWidth + left) * planes;
        const line = output.subarray(from, from + (column.stop - column.begin) * planes);
        probabilities.set(line, (y * width + column.begin) * planes);
      }
      progress(++done / (rows.length * columns.length));
    }
  }
  return probabilities;
}

/** The tiles along an axis: where each one starts, and from where to where it writes. */
function plan(size, tile, { margin, mirrored, stride, padding }) {
  const step = Math.floor((tile - 2 * margin) / stride) * stride;
  const offset = padding === "valid" ? tile % stride : 0;
  const canvas = Math.ceil((size + 2 * mirrored - offset) / stride) * stride + offset;
  const count = canvas <= tile ? 1 : Math.ceil((size - 2 * (margin - mirrored)) / step);
  const tiles = [];
  for (let index = 0, begin = 0; index < count; index++) {
    const start = Math.min(index * step, Math.max(canvas - tile, 0)) - mirrored;
    const stop = index === count - 1 ? size : start + margin + step;
    tiles.push({ start, begin, stop });
    begin = stop;
  }
  return tiles;
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
