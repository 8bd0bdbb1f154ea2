// Sends the image to the server that the page came from; the objects come back as one picture.
import { pictureOf } from "./pictures.js";

export const privacy = "The image is sent to this server.";

/** A function of (file, picture, progress) that segments. */
export async function start() {
  const url = new URL("page/segment", document.baseURI);

  return async (file, { height, width }, progress) => {
    const answer = await fetch(url, { method: "POST", body: file });
    if (!answer.ok) {
      const { error } = await answer.json().catch(() => ({}));
      throw new Error(error ?? `${answer.status} ${answer.statusText}`);
    }
    progress(0.9);
    const found = await pictureOf(await answer.blob());
    if (found.height !== height || found.width !== width) throw new Error("the mask has another size");
    // Red and green: the object's number, low byte first; blue: its class.
    const classes = new Int32Array(height * width), instances = new Int32Array(height * width);
    for (let pixel = 0, at = 0; pixel < classes.length; pixel++, at += 4) {
      instances[pixel] = found.data[at] + 256 * found.data[at + 1];
      classes[pixel] = found.data[at + 2];
    }
    return { classes, instances };
  };
}
