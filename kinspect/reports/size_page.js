// The page of `kinspect size --html`: a treemap and a table of the folder that the URL's hash names.
//
// For tests: window.treemap has `boxes` (what is drawn, outer before inner: path, x, y, width, height, group, fill),
// `here` (the path that is open), `moving`, and `firstDraw` (milliseconds from navigation until the map was there).

const $ = (id) => document.getElementById(id);
const HEAD = 17, LEAST = 2, ROWS = 300, DURATION = 240;
const dark = matchMedia("(prefers-color-scheme: dark)");
const still = matchMedia("(prefers-reduced-motion: reduce)");

// ---- the tree: a row a group, what is in it follows it, up to `end` -------------------------------------------------

let names, parent, end, top, sizes, compared;  // sizes: now.file, now.memory, before.file, before.memory by row

async function load() {
  const packed = Uint8Array.from(atob($("data").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const data = await new Response(stream).json();
  $("data").remove();
  names = data.names;
  compared = data.sizes.length === 4;
  const count = names.length;
  parent = new Int32Array(count).fill(-1);
  end = new Int32Array(count);
  top = new Int32Array(count);
  const open = [], left = [];  // the groups around the row, and how many of their children are to come
  for (let row = 0; row < count; row++) {
    if (typeof names[row] === "number") names[row] = names[names[row]];
    if (open.length) {
      parent[row] = open.at(-1);
      left[left.length - 1]--;
    }
    top[row] = open.length > 1 ? top[open.at(-1)] : row;
    if (data.counts[row]) {
      open.push(row);
      left.push(data.counts[row]);
    } else {
      end[row] = row + 1;
      while (open.length && !left.at(-1)) {
        end[open.pop()] = row + 1;
        left.pop();
      }
    }
  }
  const sum = (a, b) => Float64Array.from(a, (size, row) => size + b[row]);
  const [file, beyond, grown, beyondBefore] = data.sizes;
  const fileBefore = compared ? sum(file, grown) : new Float64Array(count);
  const memoryBefore = compared ? sum(fileBefore, beyondBefore) : fileBefore;
  sizes = { now: { file, memory: sum(file, beyond) }, before: { file: fileBefore, memory: memoryBefore } };
}

const isGroup = (row) => end[row] > row + 1;
const within = (row, group) => row >= group && row < end[group];

function* children(row) {
  for (let child = row + 1; child < end[row]; child = end[child]) yield child;
}

function pathOf(row) {
  const found = [];
  for (; row > 0; row = parent[row]) found.unshift(row);
  return found;
}

const textPath = (row) => pathOf(row).map((one) => names[one]).join("/");

/** Which of the siblings of its name a row is, from 0. */
function twin(row) {
  let found = 0;
  for (const one of children(parent[row])) {
    if (one === row) return found;
    if (names[one] === names[row]) found++;
  }
}

const hashOf = (row) => "#" + pathOf(row).map((one) => {
  const number = twin(one);
  return encodeURIComponent(names[one]) + (number || !names[one] ? ":" + number : "");
}).join("/");

/** The group that the hash names, or as far as it can be followed. */
function rowOf(hash) {
  let row = 0;
  if (hash.length < 2) return row;
  for (const part of hash.slice(1).split("/")) {
    let [name, number] = part.split(":");
    try { name = decodeURIComponent(name); } catch { return row; }
    const next = [...children(row)].filter((one) => names[one] === name)[Number(number) || 0];
    if (next === undefined || !isGroup(next)) return row;
    row = next;
  }
  return row;
}

// ---- what is looked at ----------------------------------------------------------------------------------------------

let here = 0, measure = "file", area = "size", query = "", lit = null, order = { key: "share", down: true };
let weights, byWeight, hues;

const now = (row, kind = measure) => sizes.now[kind][row];
const before = (row, kind = measure) => sizes.before[kind][row];
const growth = (row) => compared ? now(row) - before(row) : 0;

/** Anew after another choice of bytes or area: what every row weighs on the map. */
function weigh() {
  weights = sizes.now[measure];
  byWeight = new Map();
  if (area === "growth") {
    weights = new Float64Array(names.length);
    for (let row = names.length - 1; row >= 0; row--) {
      if (!isGroup(row)) weights[row] = Math.abs(growth(row));
      if (row) weights[parent[row]] += weights[row];
    }
  }
}

function sorted(row) {
  if (!byWeight.has(row)) byWeight.set(row, [...children(row)].sort((a, b) => weights[b] - weights[a]));
  return byWeight.get(row);
}

/** Rows that match a search: 2 for a match and all in it, 1 for what has some in it. `net/core` asks for parents too. */
function search(text) {
  query = text.trim().toLowerCase();
  lit = null;
  if (!query) return;
  lit = new Uint8Array(names.length);
  const parts = query.split("/").reverse();
  const matches = (row) => parts.every((part) => {
    const found = row > 0 && names[row].toLowerCase().includes(part);
    row = parent[row];
    return found;
  });
  for (let row = 1; row < names.length; row++) if (lit[parent[row]] === 2 || matches(row)) lit[row] = 2;
  for (let row = names.length - 1; row > 0; row--) if (lit[row] && !lit[parent[row]]) lit[parent[row]] = 1;
}

// ---- words ----------------------------------------------------------------------------------------------------------

function human(size) {
  if (size < 1024) return `${size} B`;
  let unit = 0;
  for (size /= 1024; size >= 1023.95 && unit < 3; unit++) size /= 1024;
  return `${size.toFixed(1)} ${["KiB", "MiB", "GiB", "TiB"][unit]}`;
}

const exact = (size) => `${size.toLocaleString("en")} ${size === 1 ? "byte" : "bytes"}`;
const signed = (size, words) => (size > 0 ? "+" : size < 0 ? "\u2212" : "") + words(Math.abs(size));
const percent = (part, whole) => whole ? `${(100 * part / whole).toFixed(1)} %` : "";
const tone = (size) => size > 0 ? "grown" : size < 0 ? "shrunk" : "dim";
const fate = (row) => !before(row) ? "new" : !now(row) ? "removed" : `${signed(growth(row), () => percent(Math.abs(growth(row)), before(row)))}`;

function element(tag, properties = {}, ...inside) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...inside);
  return made;
}

// ---- colours: by top-level folder, or from shrunk (blue) over equal (grey) to grown (orange) ------------------------

const oklch = (l, c, h) => `oklch(${l.toFixed(3)} ${c.toFixed(3)} ${h.toFixed(0)})`;

/** The fill of a row; `depth` < 0 for what holds others. */
function fill(row, holds = false) {
  const night = dark.matches, faded = lit && !(lit[row] === 2 || (lit[row] && holds));
  if (faded) return holds ? oklch(night ? 0.23 : 0.955, 0.004, 90) : oklch(night ? 0.27 : 0.915, 0.004, 90);
  if (compared) {
    const rate = growth(row) / Math.max(now(row), before(row), 1), much = Math.sqrt(Math.abs(rate));
    return shade(rate < 0 ? -much : much, holds);
  }
  const hue = hues.get(top[row]);
  const patch = ((isGroup(row) ? row : parent[row]) * 7 % 5 - 2) * 0.013;
  const [light, chroma] = night ? holds ? [0.32, 0.035] : [0.46, 0.075] : holds ? [0.915, 0.03] : [0.81, 0.075];
  return hue === undefined ? oklch(light, 0.006, 90) : oklch(light + (holds ? 0 : patch), chroma, hue);
}

function shade(rate, holds) {
  const night = dark.matches, much = Math.abs(rate), hue = rate < 0 ? 248 : 58;
  if (holds) return oklch(night ? 0.27 + 0.06 * much : 0.935 - 0.03 * much, 0.045 * much, hue);
  return oklch(night ? 0.37 + 0.27 * much : 0.86 - 0.16 * much, 0.003 + 0.14 * much, hue);
}

// ---- the map --------------------------------------------------------------------------------------------------------

const map = $("map");
let boxes = [], picture = null, hovered = -1, selected = -1, moving = 0, firstDraw = 0;

/** Where everything below a row goes that is large enough to be seen; outer boxes before inner ones. */
function laidOut(row, width, height) {
  const found = [], ratio = devicePixelRatio, snapped = (at) => Math.round(at * ratio) / ratio;
  const place = (one, x, y, w, h) => {
    const [left, upper] = [snapped(x), snapped(y)], box = { row: one, x: left, y: upper, w: snapped(x + w) - left, h: snapped(y + h) - upper };
    found.push(box);
    if (!isGroup(one)) return;
    box.head = box.w >= 46 && box.h >= 34;
    const edge = box.head ? 2 : box.w > 8 && box.h > 8 ? 1 : 0, head = box.head ? HEAD : edge;
    squarify(one, box.x + edge, box.y + head, box.w - 2 * edge, box.h - head - edge);
  };
  // Bruls, Huizing and van Wijk, "Squarified Treemaps": a row takes one more as long as that makes it squarer.
  const squarify = (group, x, y, w, h) => {
    const rows = sorted(group);
    let rest = weights[group], at = 0;
    while (at < rows.length && weights[rows[at]] > 0 && rest > 0) {
      const side = Math.min(w, h), scale = w * h / rest;
      if (side < LEAST || weights[rows[at]] * scale < LEAST * LEAST) break;
      let sum = 0, worst = Infinity, next = at;
      for (; next < rows.length; next++) {
        const one = weights[rows[next]] * scale, total = sum + one;
        const squareness = Math.max(side * side * weights[rows[at]] * scale / (total * total), total * total / (side * side * one));
        if (!(squareness <= worst)) break;
        [sum, worst] = [total, squareness];
      }
      const deep = sum / side;
      for (let along = 0; at < next; at++) {
        const length = weights[rows[at]] * scale / deep;
        if (w >= h) place(rows[at], x, y + along, deep, length);
        else place(rows[at], x + along, y, length, deep);
        along += length;
        rest -= weights[rows[at]];
      }
      if (w >= h) [x, w] = [x + deep, w - deep];
      else [y, h] = [y + deep, h - deep];
    }
    if (at < rows.length && rest > 0 && w > 0 && h > 0) found.push({ row: group, x: snapped(x), y: snapped(y), w: snapped(x + w) - snapped(x), h: snapped(y + h) - snapped(y), small: true });
  };
  squarify(row, 0, 0, width, height);
  return found;
}

function painted(width, height) {
  const canvas = element("canvas", { width: Math.round(width * devicePixelRatio), height: Math.round(height * devicePixelRatio) });
  const context = canvas.getContext("2d"), style = getComputedStyle(document.body);
  context.scale(devicePixelRatio, devicePixelRatio);
  context.font = `11px ${style.fontFamily}`;
  context.textBaseline = "middle";
  const label = (text, x, y, room) => {
    text = text.length > 200 ? text.slice(0, 200) : text;
    let wide = context.measureText(text).width;
    while (wide > room && text.length > 2) {
      text = text.slice(0, Math.max(1, Math.floor(text.length * room / wide) - 1)) + "\u2026";
      wide = context.measureText(text).width;
      if (wide > room) text = text.slice(0, -1);
    }
    if (text.length > 2 || wide <= room) context.fillText(text, x, y);
    return wide;
  };
  for (const box of boxes) {
    const { row, x, y, w, h, head, small } = box, holds = isGroup(row) && !small;
    const gap = !holds && w > 4 && h > 4 ? 1 / devicePixelRatio : 0;
    context.fillStyle = box.fill = fill(row, holds);
    context.fillRect(x, y, w - gap, h - gap);
    if (small || !(head || (!holds && w > 34 && h > 14))) continue;
    const bright = Number(/[\d.]+/.exec(context.fillStyle.startsWith("oklch") ? context.fillStyle : box.fill)[0]) > 0.6;
    context.fillStyle = bright ? "#16181a" : "#eceded";
    if (lit && !lit[row]) context.globalAlpha = 0.4;
    const used = label(names[row], x + 5, y + (head ? 9 : Math.min(h / 2, 10)), w - 10);
    context.globalAlpha *= 0.65;
    const words = area === "growth" ? signed(growth(row), human) : human(now(row));
    if (head && w - used > 74) {
      context.textAlign = "right";
      context.fillText(words, x + w - 6, y + 9);
      context.textAlign = "left";
    } else if (!head && w > 56 && h > 32) context.fillText(words, x + 5, y + 24);
    context.globalAlpha = 1;
  }
  return canvas;
}

/** Draw the map anew; `from` is the row that was open before, for the way in or out. */
function draw(from = here) {
  const { clientWidth: width, clientHeight: height } = $("frame");
  if (!width || !height) return;
  const old = { boxes, picture };
  boxes = laidOut(here, width, height);
  picture = painted(width, height);
  if (map.width !== picture.width || map.height !== picture.height) Object.assign(map, { width: picture.width, height: picture.height });
  const inwards = within(here, from);
  const through = (inwards ? old.boxes : boxes).find((box) => box.row === (inwards ? here : from) && !box.small);
  cancelAnimationFrame(moving);
  moving = 0;
  if (from !== here && through && old.picture && !still.matches) move(old.picture, through, inwards, width, height);
  else blit();
  firstDraw ||= performance.now();
}

/** The way between two pictures: `through` is the box of the inner one in the outer one. */
function move(old, through, inwards, width, height) {
  const [inner, outer] = inwards ? [picture, old] : [old, picture];
  const context = map.getContext("2d"), started = performance.now();
  const step = (time) => {
    const t = Math.min(1, Math.max(0, time - started) / DURATION), eased = t * t * (3 - 2 * t), near = inwards ? eased : 1 - eased;
    const between = (a, b) => a + (b - a) * near;
    const [x, y, w, h] = [between(through.x, 0), between(through.y, 0), between(through.w, width), between(through.h, height)];
    const [sx, sy] = [w / through.w, h / through.h];
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

/** The picture, with a frame around what is pointed at. */
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

/** What lies under a point: the innermost box, and the group that a click there opens. */
function under(x, y) {
  const found = boxes.filter((box) => x >= box.x && y >= box.y && x < box.x + box.w && y < box.y + box.h);
  const groups = found.filter((box) => isGroup(box.row) && box.row !== here);
  return { inner: found.at(-1)?.row ?? -1, opens: (groups.findLast((box) => box.head) ?? groups[0])?.row ?? -1 };
}

// ---- around the map -------------------------------------------------------------------------------------------------

function tell(row, x, y) {
  const tip = $("tip");
  tip.hidden = row < 0;
  if (row < 0) return;
  const line = (name, kind) => {
    const share = percent(now(row, kind), now(0, kind));
    let words = `${name} ${human(now(row, kind))}, ${share} of all`;
    if (compared) words += ` (${signed(now(row, kind) - before(row, kind), human)})`;
    return element("span", {}, words);
  };
  const folder = pathOf(parent[row]).length ? [element("span", {}, textPath(parent[row]))] : [];
  const change = compared ? [element("span", { className: tone(growth(row)) }, growth(row) ? fate(row) : "as before")] : [];
  const inside = isGroup(row) ? [element("span", {}, `${[...children(row)].length.toLocaleString("en")} inside`)] : [];
  tip.replaceChildren(element("b", {}, names[row]), ...folder, line("in the Image", "file"), line("in memory", "memory"), ...change, ...inside);
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, x + 16 + width > innerWidth ? x - width - 12 : x + 16)}px`;
  tip.style.top = `${Math.max(4, y + 18 + height > innerHeight ? y - height - 12 : y + 18)}px`;
}

function headline() {
  const block = (name, kind) => {
    const [size, old] = [now(0, kind), before(0, kind)], delta = size - old;
    const grown = () => element("span", { className: tone(delta), title: `${signed(delta, exact)}; before ${exact(old)}` },
      delta ? `${signed(delta, human)} (${signed(delta, () => percent(Math.abs(delta), old) || "new")})` : "as before");
    return element("div", { title: exact(size) }, element("b", {}, human(size)), element("span", {}, name), ...(compared ? [" ", grown()] : []));
  };
  $("headline").replaceChildren(block("in the Image", "file"), block("in memory", "memory"));
}

function legend() {
  if (!compared) return $("legend").replaceChildren("Colour is the top-level folder");
  const canvas = element("canvas", { width: 180, height: 1 }), context = canvas.getContext("2d");
  for (let x = 0; x < 180; x++) {
    context.fillStyle = shade(x / 89.5 - 1);
    context.fillRect(x, 0, 1, 1);
  }
  $("legend").replaceChildren("removed, smaller", canvas, "larger, new");
}

function breadcrumb() {
  const rows = [0, ...pathOf(here)];
  $("path").replaceChildren(...rows.map((row) => element("li", {}, row === here
    ? element("span", { ariaCurrent: "page", title: names[row] }, names[row])
    : element("a", { href: hashOf(row), title: names[row] }, names[row]))));
}

// ---- the table ------------------------------------------------------------------------------------------------------

const collator = new Intl.Collator("en", { numeric: true });
const COLUMNS = [
  { key: "name", title: "Name", value: (row) => names[row] },
  { key: "file", title: "Image", value: (row) => now(row, "file") },
  { key: "memory", title: "Memory", value: (row) => now(row, "memory") },
  { key: "share", title: "Share", value: (row) => now(row) },
  { key: "growth", title: "Growth", value: growth, compared: true },
];
const columns = () => COLUMNS.filter((column) => compared || !column.compared);
let shown = ROWS;

/** What the table lists: what is in the folder, or, of a search, the outermost matches below it. */
function listed() {
  if (!lit) return [...children(here)];
  const found = [];
  for (let row = here + 1; row < end[here]; row = lit[row] === 2 ? end[row] : row + 1) if (lit[row] === 2) found.push(row);
  return found;
}

function cells(row, name) {
  const amount = (kind) => element("td", { title: exact(now(row, kind)), className: now(row, kind) ? "" : "dim" }, human(now(row, kind)));
  const bar = element("i");
  bar.style.width = now(here) ? `${100 * now(row) / now(here)}%` : "0";
  const made = [element("td", { title: name }), amount("file"), amount("memory"), element("td", { className: "share" }, bar, percent(now(row), now(here)))];
  if (compared) made.push(element("td", { className: tone(growth(row)), title: `${signed(growth(row), exact)}; before ${exact(before(row))}` }, growth(row) ? signed(growth(row), human) : "0"));
  return made;
}

function line(row) {
  const name = pathOf(row).slice(pathOf(here).length).map((one) => names[one]).join("/"), made = cells(row, name);
  const target = isGroup(row) ? row : parent[row], swatch = element("i");
  swatch.style.background = fill(row);
  made[0].append(swatch, target === here ? name : element("a", { href: hashOf(target) }, name));
  const found = element("tr", { className: target === here ? "" : "group" }, ...made);
  found.onclick = (event) => { if (target !== here && !event.target.closest("a")) location.hash = hashOf(target); };
  found.onmouseenter = () => { hovered = row; blit(); };
  found.onmouseleave = () => { hovered = -1; blit(); };
  found.dataset.row = row;
  return found;
}

function table() {
  $("heads").replaceChildren(...columns().map(({ key, title }) => {
    const button = element("button", { type: "button" }, title), head = element("th", { scope: "col", className: key }, button);
    if (order.key === key) head.ariaSort = order.down ? "descending" : "ascending";
    button.onclick = () => {
      order = { key, down: order.key === key ? !order.down : key !== "name" };
      table();
      $("heads").querySelector("[aria-sort] button").focus();
    };
    return head;
  }));
  const value = COLUMNS.find((column) => column.key === order.key).value, turn = order.down ? -1 : 1;
  const rows = listed().sort((a, b) => turn * (order.key === "name" ? collator.compare(value(a), value(b)) : value(a) - value(b)) || a - b);
  $("rows").replaceChildren(...rows.slice(0, shown).map(line));
  $("more").hidden = rows.length <= shown;
  $("more").textContent = `Show all ${rows.length.toLocaleString("en")}`;
  const total = cells(here, textPath(here) || names[0]);
  total[0].append(lit ? `${rows.length.toLocaleString("en")} found in ${names[here]}` : names[here]);
  $("total").replaceChildren(element("tr", {}, ...total));
}

// ---- what is done ---------------------------------------------------------------------------------------------------

function refresh(from = here) {
  hovered = selected = -1;
  tell(-1);
  for (const [id, value] of [["measure", measure], ["area", area]])
    for (const button of $(id).children) button.ariaPressed = String(button.value === value);
  breadcrumb();
  legend();
  table();
  draw(from);
}

function open() {
  const from = here;
  here = rowOf(location.hash);
  shown = ROWS;
  refresh(from);
}

const up = () => { if (here) location.hash = hashOf(parent[here]); };

/** The child of the open folder whose box is the next one in a direction. */
function neighbour(key) {
  const all = boxes.filter((box) => parent[box.row] === here), from = all.find((box) => box.row === selected);
  if (!from) return all[0]?.row ?? -1;
  const middle = (box) => [box.x + box.w / 2, box.y + box.h / 2], [x, y] = middle(from);
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  const far = (box) => {
    const [ax, ay] = middle(box), along = (ax - x) * dx + (ay - y) * dy, aside = Math.abs((ax - x) * dy) + Math.abs((ay - y) * dx);
    return along > 1 ? along + 2 * aside : Infinity;
  };
  const best = all.reduce((a, b) => far(b) < far(a) ? b : a, from);
  return far(best) < Infinity ? best.row : selected;
}

function listen() {
  map.onmousemove = (event) => {
    const { inner, opens } = under(event.offsetX, event.offsetY), child = pathOf(inner)[pathOf(here).length];
    map.style.cursor = opens > 0 ? "pointer" : "default";
    tell(inner, event.clientX, event.clientY);
    for (const row of $("rows").querySelectorAll(".here")) row.classList.remove("here");
    $("rows").querySelector(`[data-row="${child}"]`)?.classList.add("here");
    if (hovered !== opens) { hovered = opens; blit(); }
  };
  map.onmouseleave = () => { hovered = -1; tell(-1); blit(); };
  map.onclick = (event) => {
    const { opens } = under(event.offsetX, event.offsetY);
    if (opens > 0) location.hash = hashOf(opens);
  };
  map.onblur = () => { selected = -1; tell(-1); blit(); };
  map.onkeydown = (event) => {
    if (event.key.startsWith("Arrow")) {
      event.preventDefault();
      selected = neighbour(event.key);
      const box = boxes.find((one) => one.row === selected), frame = map.getBoundingClientRect();
      if (box) tell(selected, frame.x + box.x + box.w / 2, frame.y + box.y + box.h / 2);
      blit();
    } else if (event.key === "Enter" && selected > 0 && isGroup(selected)) location.hash = hashOf(selected);
  };
  document.onkeydown = (event) => {
    const typing = event.target === $("search");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && !typing) { event.preventDefault(); $("search").focus(); }
    else if (event.key === "Escape" && lit) { $("search").value = ""; $("search").oninput(); }
    else if (event.key === "Escape" || (event.key === "Backspace" && !typing)) { event.preventDefault(); up(); }
  };
  let soon = 0;
  $("search").oninput = () => {
    cancelAnimationFrame(soon);
    soon = requestAnimationFrame(() => { search($("search").value); shown = ROWS; refresh(); });
  };
  $("measure").onclick = (event) => { if (event.target.value) { measure = event.target.value; weigh(); refresh(); } };
  $("area").onclick = (event) => { if (event.target.value) { area = event.target.value; weigh(); refresh(); } };
  $("more").onclick = () => { shown = Infinity; table(); };
  addEventListener("hashchange", open);
  dark.addEventListener("change", () => refresh());
  new ResizeObserver(() => draw()).observe($("frame"));
}

async function start() {
  await load();
  const folders = [...children(0)].filter(isGroup).sort((a, b) => now(b) - now(a));
  hues = new Map(folders.map((row, rank) => [row, (250 + 137.5 * rank) % 360]));
  if (compared) order.key = "growth";
  $("area").hidden = !compared;
  weigh();
  headline();
  window.treemap = {
    get boxes() { return boxes.map(({ row, x, y, w, h, fill, small }) => ({ path: textPath(row), x, y, width: w, height: h, group: isGroup(row), small: !!small, fill })); },
    get here() { return textPath(here); },
    get moving() { return moving > 0; },
    get firstDraw() { return firstDraw; },
  };
  listen();
  open();
}

start().catch((error) => {
  $("rows").replaceChildren(element("tr", {}, element("td", {}, `This page cannot be shown here: ${error.message}. It takes a browser of 2024 or newer.`)));
  throw error;
});
