// Images in and out: decoding, the overlay, PNG files of one grey channel.

/** The 8-bit RGBA pixels of an image file. */
export async function pictureOf(file) {
  const bitmap = await createImageBitmap(file, {
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** Draws the image with every object in a colour of its own: its outline, or all of it. */
export function drawOverlay(canvas, picture, instances, outlines) {
  const { width, height } = picture;
  canvas.width = width;
  canvas.height = height;
  const pixels = new Uint8ClampedArray(picture.data);
  for (let at = 0; at < instances.length; at++) {
    const id = instances[at];
    const share = id === 0 ? 0 : isRim(instances, at, width, height) ? 1 : outlines ? 0 : 0.4;
    if (share === 0) continue;
    colourOf(id).forEach((value, c) => {
      pixels[4 * at + c] = share * value + (1 - share) * pixels[4 * at + c];
    });
  }
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
}

function isRim(ids, at, width, height) {
  const x = at % width, y = Math.floor(at / width), id = ids[at];
  return (
    (x > 0 && ids[at - 1] !== id) ||
    (x < width - 1 && ids[at + 1] !== id) ||
    (y > 0 && ids[at - width] !== id) ||
    (y < height - 1 && ids[at + width] !== id)
  );
}

/** Neighbouring ids get distant hues. */
function colourOf(id) {
  const hue = (id * 0.618034) % 1;
  return [0, 1 / 3, 2 / 3].map((shift) => 127.5 + 127.5 * Math.cos(2 * Math.PI * (hue - shift)));
}

/** A grey PNG of 8 or 16 bits. */
export async function greyPng(values, height, width, bits) {
  const bytes = bits / 8, lines = new Uint8Array(height * (1 + width * bytes));
  for (let y = 0, to = 0; y < height; y++) {
    lines[to++] = 0; // no filter
    for (let x = 0; x < width; x++) {
      const value = values[y * width + x];
      if (bits === 16) lines[to++] = value >> 8;
      lines[to++] = value & 255;
    }
  }
  const deflated = new Blob([lines]).stream().pipeThrough(new CompressionStream("deflate"));
  const data = new Uint8Array(await new Response(deflated).arrayBuffer());
  const header = new Uint8Array([...word(width), ...word(height), bits, 0, 0, 0, 0]);
  const signature = new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]);
  const parts = [signature, chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", new Uint8Array())];
  return new Blob(parts, { type: "image/png" });
}

function chunk(name, data) {
  const named = new Uint8Array([...new TextEncoder().encode(name), ...data]);
  return new Uint8Array([...word(data.length), ...named, ...word(crc(named))]);
}

function word(value) {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

function crc(bytes) {
  let rest = 0xffffffff;
  for (const byte of bytes) {
    rest ^= byte;
    for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (rest & 1 ? 0xedb88320 : 0);
  }
  return (rest ^ 0xffffffff) >>> 0;
}
