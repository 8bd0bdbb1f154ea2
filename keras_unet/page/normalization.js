// The two numbers a channel that normalize an 8-bit image, as `keras_unet.data.Normalization` has it.

/** Normalized float32 values `(height, width, channels)` of 8-bit ones. */
export function normalize(values, channels, options) {
  const pairs = statistics(values, channels, options);
  const normalized = new Float32Array(values.length);
  for (let at = 0; at < values.length; at++) {
    const [offset, scale] = pairs[at % channels];
    normalized[at] = Math.fround(values[at] - offset) * scale;
  }
  return normalized;
}

function statistics(values, channels, { mode, low, high, per_channel: perChannel }) {
  if (mode === "none") return Array(channels).fill([0, 1]);
  if (mode === "unit") return Array(channels).fill([0, Math.fround(1 / 255)]);
  const groups = perChannel ? channels : 1;
  const histograms = Array.from({ length: groups }, () => new Float64Array(256));
  for (let at = 0; at < values.length; at++) histograms[at % groups][values[at]]++;
  const find = mode === "zscore" ? meanAndDeviation : (counts) => percentiles(counts, low, high);
  const pairs = histograms.map((counts) => {
    const [offset, width] = find(counts);
    return [Math.fround(offset), width > 0 ? Math.fround(1 / width) : 0];
  });
  return perChannel ? pairs : Array(channels).fill(pairs[0]);
}

function percentiles(counts, low, high) {
  let first = quantile(counts, low / 100), last = quantile(counts, high / 100);
  if (first === last) {
    first = counts.findIndex((count) => count > 0);
    last = counts.findLastIndex((count) => count > 0);
  }
  return [first, last - first];
}

function quantile(counts, fraction) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const position = fraction * (total - 1), below = Math.floor(position);
  const left = valueAt(counts, below), right = valueAt(counts, Math.ceil(position));
  return left + (position - below) * (right - left);
}

/** The value of the sorted pixels at an index. */
function valueAt(counts, index) {
  let passed = 0;
  for (let value = 0; ; value++) {
    passed += counts[value];
    if (passed > index) return value;
  }
}

function meanAndDeviation(counts) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const mean = counts.reduce((sum, count, value) => sum + count * value, 0) / total;
  const square = counts.reduce((sum, count, value) => sum + count * (value - mean) ** 2, 0) / total;
  return [mean, Math.sqrt(square)];
}
