// What is measured of every object.

const COLUMNS = ["id", "class", "area", "x", "y", "left", "top", "right", "bottom"];

/** A row an object: class name, area in pixels, centre, box (last pixels included). */
export function measure(instances, classes, width, names) {
  const rows = [];
  instances.forEach((id, at) => {
    if (!id) return;
    const x = at % width, y = Math.floor(at / width);
    const row = (rows[id - 1] ??= {
      id, class: names[classes[at]] ?? String(classes[at]), area: 0, x: 0, y: 0,
      left: x, top: y, right: x, bottom: y,
    });
    row.area++;
    row.x += x;
    row.y += y;
    row.left = Math.min(row.left, x);
    row.right = Math.max(row.right, x);
    row.bottom = y;
  });
  for (const row of rows) {
    row.x = Number((row.x / row.area).toFixed(2));
    row.y = Number((row.y / row.area).toFixed(2));
  }
  return rows;
}

/** The rows as text; a name with a comma or a quote is quoted. */
export function csvOf(rows) {
  const quoted = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const lines = rows.map((row) => COLUMNS.map((name) => quoted(String(row[name]))).join(","));
  return [COLUMNS.join(","), ...lines, ""].join("\n");
}

/** Middle value of the areas. */
export function medianArea(rows) {
  const areas = rows.map((row) => row.area).sort((a, b) => a - b);
  const middle = areas.length / 2;
  return areas.length % 2 ? areas[middle - 0.5] : (areas[middle - 1] + areas[middle]) / 2;
}
