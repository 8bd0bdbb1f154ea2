// Refuses bodies that tensorflow_model_server cannot take safely: packed ones, and JSON that is nested
// more deeply than any tensor needs (CVE-2025-0649). Everything else goes on to the model server.
const MAX_DEPTH = 32;
const QUOTE = 34, BACKSLASH = 92, OPEN = [91, 123], CLOSE = [93, 125];

function check(r) {
  if (r.headersIn['Content-Encoding']) {
    refuse(r, 415, 'packed bodies are not taken');
  } else if (depth(r.requestBuffer || Buffer.from('')) > MAX_DEPTH) {
    refuse(r, 400, 'nested deeper than ' + MAX_DEPTH + ' levels');
  } else {
    r.internalRedirect('@model_server');
  }
}

// Deepest nesting of JSON, brackets inside strings left out.
function depth(body) {
  let level = 0, deepest = 0;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at];
    if (byte === QUOTE) {
      at = endOfString(body, at);
      if (at < 0) return deepest;
    } else if (byte === OPEN[0] || byte === OPEN[1]) {
      level++;
      if (level > deepest) deepest = level;
      if (deepest > MAX_DEPTH) return deepest;
    } else if (byte === CLOSE[0] || byte === CLOSE[1]) {
      level--;
    }
  }
  return deepest;
}

// Index of the quote that ends the string which begins at `start`, or -1.
function endOfString(body, start) {
  for (let end = body.indexOf('"', start + 1); end >= 0; end = body.indexOf('"', end + 1)) {
    let escapes = 0;
    while (body[end - 1 - escapes] === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return end;
  }
  return -1;
}

function refuse(r, status, text) {
  r.headersOut['Content-Type'] = 'application/json';
  r.return(status, JSON.stringify({ error: text }) + '\n');
}

export default { check };
