// Sends the image to the server that the page came from.
import { objectsOf } from "./decoding.js";
import { pictureOf } from "./pictures.js";

export const privacy = "The image is sent to this server.";

/** A function of (file, picture, progress) that segments. */
export async function start(config) {
  const url = new URL(`v1/models/${encodeURIComponent(config.model)}:predict`, document.baseURI);

  return async (file, { height, width }, progress) => {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const answer = await fetch(url, {
      method: "POST",
      body: JSON.stringify({ signature_name: "segment_bytes", instances: [{ b64: base64(bytes) }] }),
    });
    const { predictions, error } = await answer.json();
    if (error || !answer.ok) throw new Error(error ?? answer.statusText);
    progress(0.9);
    const png = Uint8Array.from(atob(predictions[0].mask_png_bytes.b64), (c) => c.charCodeAt(0));
    const mask = await pictureOf(new Blob([png], { type: "image/png" }));
    if (mask.height !== height || mask.width !== width) throw new Error("the mask has another size");
    const classes = new Int32Array(height * width).map((_, pixel) => mask.data[4 * pixel]);
    return objectsOf(classes, height, width, { connectivity: 1, min_size: 0, ...config.components });
  };
}

function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(text);
}
