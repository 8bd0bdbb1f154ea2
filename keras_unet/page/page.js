// The page: an image in; overlay, table, mask and CSV out. `config.json` names the engine.
import { csvOf, measure, medianArea } from "./objects.js";
import { drawOverlay, greyPng, pictureOf } from "./pictures.js";

const at = (id) => document.getElementById(id);
const HIGHEST = 65535; // ids that a 16-bit PNG can hold
let shown = null;

function say(text, state) {
  at("message").textContent = text;
  at("message").classList.toggle("error", state === "failed");
  document.body.dataset.state = state;
}

async function segmentFile(segment, config, file) {
  at("result").hidden = true;
  at("file").disabled = true;
  at("progress").hidden = false;
  say(`Segmenting ${file.name} …`, "working");
  try {
    const picture = await pictureOf(file);
    const begun = performance.now();
    const found = await segment(file, picture, (share) => (at("progress").value = share));
    const seconds = (performance.now() - begun) / 1000;
    await show(file, picture, found, config);
    say(`${file.name}: ${picture.width} × ${picture.height} px, ${seconds.toFixed(1)} s`, "done");
  } catch (error) {
    say(`${file.name}: ${error.message || error}`, "failed");
  }
  at("progress").hidden = true;
  at("file").disabled = false;
}

async function show(file, picture, { classes, instances }, config) {
  const { width, height } = picture;
  const rows = measure(instances, classes, width, config.class_names);
  if (rows.length > HIGHEST) throw new Error(`more than ${HIGHEST} objects`);
  shown = { picture, instances };
  drawOverlay(at("overlay"), picture, instances, at("outlines").checked);
  at("count").textContent = rows.length === 1 ? "1 object" : `${rows.length} objects`;
  at("summary").textContent = rows.length ? `median area ${medianArea(rows)} px` : "";
  fillTable(rows);
  const stem = file.name.replace(/\.[^.]*$/, "");
  offer("mask", await greyPng(instances, height, width, 16), `${stem}_mask.png`);
  offer("classes", await greyPng(classes, height, width, 8), `${stem}_classes.png`);
  offer("csv", new Blob([csvOf(rows)], { type: "text/csv" }), `${stem}_objects.csv`);
  at("result").hidden = false;
}

function offer(id, blob, name) {
  URL.revokeObjectURL(at(id).href);
  at(id).href = URL.createObjectURL(blob);
  at(id).download = name;
}

function fillTable(rows) {
  const cells = (tag, values) => {
    const row = document.createElement("tr");
    for (const value of values) row.appendChild(document.createElement(tag)).textContent = value;
    return row;
  };
  const body = rows.map((row) => cells("td", [row.id, row.class, row.area, row.x, row.y]));
  at("objects").replaceChildren(cells("th", ["id", "class", "area px", "x", "y"]), ...body);
}

function listen(segment, config) {
  const take = (file) => file && segmentFile(segment, config, file);
  at("file").addEventListener("change", (event) => {
    take(event.target.files[0]);
    event.target.value = ""; // the same file can be chosen again
  });
  at("outlines").addEventListener("change", (event) =>
    drawOverlay(at("overlay"), shown.picture, shown.instances, event.target.checked),
  );
  for (const name of ["dragover", "dragleave", "drop"]) {
    at("drop").addEventListener(name, (event) => {
      event.preventDefault();
      at("drop").classList.toggle("over", name === "dragover");
      if (name === "drop" && !at("file").disabled) take(event.dataTransfer.files[0]);
    });
  }
}

try {
  const answer = await fetch("config.json");
  if (!answer.ok) throw new Error(`config.json: ${answer.status} ${answer.statusText}`);
  const config = await answer.json();
  const engine = await import(`./${config.engine}_engine.js`);
  const segment = await engine.start(config);
  listen(segment, config);
  at("about").textContent = config.title;
  at("privacy").textContent = engine.privacy;
  at("file").disabled = false;
  say("", "ready");
} catch (error) {
  at("about").textContent = "";
  say(`The model could not be loaded: ${error.message || error}`, "failed");
}
