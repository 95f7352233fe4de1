// The treemap of `kinspect size --html`: colours, layout, drawing and animation.
// It is one module with size_page.js, which has the tree and the state.

const HEAD = 17;  // height of the line with a group's name
const LEAST = 2;  // narrower boxes are not drawn
const DEEPEST = 50;  // levels below the open group
const DURATION = 240;  // milliseconds of a zoom
const dark = matchMedia("(prefers-color-scheme: dark)");
const still = matchMedia("(prefers-reduced-motion: reduce)");

// ---- colours: by top-level folder, or from shrunk (blue) over equal (grey) to grown (orange) ------------------------

const css = ([light, chroma, hue]) => `oklch(${light.toFixed(3)} ${chroma.toFixed(3)} ${hue.toFixed(0)})`;

/** Lightness, chroma and hue of a row; paler if it `holds` other boxes. */
function tint(row, holds = false) {
  const night = dark.matches;
  if (lit && lit[row] !== 2 && !(lit[row] && holds)) {
    return night ? [holds ? 0.23 : 0.27, 0, 0] : [holds ? 0.955 : 0.915, 0, 0];
  }
  if (compared) {
    const rate = growth(row) / Math.max(now(row), before(row), 1);
    return change(Math.sign(rate) * Math.sqrt(Math.abs(rate)), holds);
  }
  const hue = hues.get(tone[row]), grey = hue === undefined;
  if (holds) return [night ? 0.32 : 0.915, grey ? 0 : 0.033, hue ?? 0];
  // The symbols of a source share a shade that differs from that of the next source.
  const shade = ((isGroup(row) || !parent[row] ? row : parent[row]) * 7 % 5 - 2) * 0.013;
  return [(night ? 0.46 : grey ? 0.86 : 0.81) + shade, grey ? 0 : 0.075, hue ?? 0];
}

/** The tint of a change: -1 is removed, 0 unchanged, 1 new. */
function change(rate, holds = false) {
  const night = dark.matches, much = Math.abs(rate), hue = rate < 0 ? 248 : 58;
  if (holds) return [night ? 0.27 + 0.06 * much : 0.935 - 0.03 * much, 0.045 * much, hue];
  return [night ? 0.37 + 0.27 * much : 0.86 - 0.16 * much, (rate < 0 ? 0.12 : 0.14) * much, hue];
}

// ---- the map --------------------------------------------------------------------------------------------------------

const map = document.getElementById("map");
let boxes = [], picture = null, hovered = -1, selected = -1, moving = 0, firstDraw = 0, drawn = "";

const extent = () => [$("frame").clientWidth, $("frame").clientHeight, devicePixelRatio].join();

/** The boxes of everything below a row that is large enough to be seen, outer before inner. */
function laidOut(row, width, height) {
  const found = [], snapped = (at) => Math.round(at * devicePixelRatio) / devicePixelRatio;
  const box = (row, left, upper, w, h, small = false) => {
    const [x, y] = [snapped(left), snapped(upper)];
    found.push({ row, x, y, w: snapped(left + w) - x, h: snapped(upper + h) - y, small });
    return found.at(-1);
  };
  const place = (row, left, upper, width, height, depth) => {
    const made = box(row, left, upper, width, height), { x, y, w, h } = made;
    if (!isGroup(row) || depth === DEEPEST) return;
    made.head = w >= 46 && h >= 34;
    const edge = made.head ? 2 : w > 8 && h > 8 ? 1 : 0, head = made.head ? HEAD : edge;
    squarify(row, x + edge, y + head, w - 2 * edge, h - head - edge, depth + 1);
  };
  // Bruls, Huizing and van Wijk, "Squarified Treemaps": a strip takes another box as long as that makes it squarer.
  const squarify = (group, x, y, w, h, depth) => {
    const rows = sorted(group);
    let rest = weights[group], at = 0;
    while (at < rows.length && weights[rows[at]] > 0) {
      const side = Math.min(w, h), scale = w * h / rest, first = weights[rows[at]] * scale;
      if (side < LEAST || !(first >= LEAST * LEAST)) break;
      let sum = 0, worst = Infinity, next = at;
      for (; next < rows.length; next++) {
        const part = weights[rows[next]] * scale, total = sum + part;
        const ratio = Math.max(side * side * first / (total * total), total * total / (side * side * part));
        if (!(ratio <= worst)) break;
        [sum, worst] = [total, ratio];
      }
      const deep = sum / side;
      for (let along = 0; at < next; at++) {
        const length = weights[rows[at]] * scale / deep;
        if (w >= h) place(rows[at], x, y + along, deep, length, depth);
        else place(rows[at], x + along, y, length, deep, depth);
        along += length;
        rest -= weights[rows[at]];
      }
      if (w >= h) [x, w] = [x + deep, w - deep];
      else [y, h] = [y + deep, h - deep];
    }
    // The rest is too small to draw.
    if (at < rows.length && weights[rows[at]] > 0 && w > 0 && h > 0) box(group, x, y, w, h, true);
  };
  squarify(row, 0, 0, width, height, 0);
  return found;
}

/** As much of a text as fits: the middle is left out, because names and paths are told apart by their ends. */
function fitted(context, text, room) {
  const shortened = (length) => `${text.slice(0, Math.ceil(length / 2))}\u2026${text.slice(-Math.floor(length / 2))}`;
  let length = Math.min(text.length, 200), cut = length < text.length ? shortened(length) : text;
  for (let wide; (wide = context.measureText(cut).width) > room; cut = shortened(length)) {
    length = Math.min(length - 1, Math.floor(length * room / wide));
    if (length < 4) return "";
  }
  return cut;
}

function painted(width, height) {
  const canvas = element("canvas", { width: width * devicePixelRatio, height: height * devicePixelRatio });
  const context = canvas.getContext("2d");
  context.scale(devicePixelRatio, devicePixelRatio);
  context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  context.textBaseline = "middle";
  for (const { row, x, y, w, h, head, small } of boxes) {
    const holds = isGroup(row) && !small, colour = tint(row, holds);
    const gap = !holds && w > 4 && h > 4 ? 1 / devicePixelRatio : 0;
    context.fillStyle = css(colour);
    context.fillRect(x, y, w - gap, h - gap);
    if (!head && (holds || small || w < 34 || h < 15)) continue;
    context.fillStyle = colour[0] > 0.6 ? "#16181a" : "#eceded";
    context.globalAlpha = lit && !lit[row] ? 0.4 : 1;
    const text = fitted(context, names[row], w - 10);
    const size = area === "growth" ? signed(growth(row), human) : human(now(row));
    context.fillText(text, x + 5, y + Math.min(h / 2, 9));
    context.globalAlpha *= 0.7;
    const room = w - 11, wide = context.measureText(size).width;
    if (head && context.measureText(text).width + wide + 8 < room) context.fillText(size, x + w - 6 - wide, y + 9);
    else if (!head && h > 31 && wide < room) context.fillText(size, x + 5, y + 23);
    context.globalAlpha = 1;
  }
  if (!boxes.length) {
    context.fillStyle = "#888";
    context.fillText(area === "growth" ? "Nothing changed here" : "Nothing here", 12, 16);
  }
  return canvas;
}

/** Redraw the map; `from` is the row that was open before, for zooming in or out. */
function draw(from = here) {
  const { clientWidth: width, clientHeight: height } = $("frame");
  if (!width || !height) return;
  const old = { boxes, picture };
  drawn = extent();
  boxes = laidOut(here, width, height);
  picture = painted(width, height);
  Object.assign(map, { width: picture.width, height: picture.height });
  const inwards = within(here, from);
  const through = (inwards ? old.boxes : boxes).find((box) => box.row === (inwards ? here : from) && !box.small);
  cancelAnimationFrame(moving);
  moving = 0;
  if (from !== here && through && old.picture && !still.matches) move(old.picture, through, inwards, width, height);
  else blit();
  firstDraw ||= performance.now();
}

/** Animate between two pictures; `through` is the box of the inner picture in the outer one. */
function move(old, through, inwards, width, height) {
  const [inner, outer] = inwards ? [picture, old] : [old, picture];
  const context = map.getContext("2d"), started = performance.now();
  const step = (time) => {
    const t = Math.min(1, Math.max(0, time - started) / DURATION), eased = t * t * (3 - 2 * t);
    const near = inwards ? eased : 1 - eased, between = (a, b) => a + (b - a) * near;
    const [x, y] = [between(through.x, 0), between(through.y, 0)];
    const [w, h] = [between(through.w, width), between(through.h, height)], [sx, sy] = [w / through.w, h / through.h];
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.drawImage(outer, x - through.x * sx, y - through.y * sy, width * sx, height * sy);
    context.globalAlpha = near;
    context.drawImage(inner, x, y, w, h);
    context.globalAlpha = 1;
    moving = t < 1 ? requestAnimationFrame(step) : 0;
    if (!moving) blit();
  };
  moving = requestAnimationFrame(step);
}

/** Show the picture, with frames around the hovered and the selected box. */
function blit() {
  if (moving || !picture) return;
  const context = map.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, map.width, map.height);
  context.drawImage(picture, 0, 0);
  context.scale(devicePixelRatio, devicePixelRatio);
  context.strokeStyle = dark.matches ? "#fff" : "#000";
  for (const [row, line] of [[hovered, 1.5], [selected, 2.5]]) {
    const box = row > 0 && boxes.find((one) => one.row === row && !one.small);
    context.lineWidth = line;
    if (box) context.strokeRect(box.x + line / 2, box.y + line / 2, box.w - line, box.h - line);
  }
}

/** The innermost box under a point, and the group that a click there opens. */
function under(x, y) {
  const found = boxes.filter((box) => x >= box.x && y >= box.y && x < box.x + box.w && y < box.y + box.h);
  const groups = found.filter((box) => isGroup(box.row) && box.row !== here);
  return { inner: found.at(-1)?.row ?? -1, opens: (groups.findLast((box) => box.head) ?? groups[0])?.row ?? -1 };
}
