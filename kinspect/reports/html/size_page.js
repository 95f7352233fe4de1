// The page of `kinspect size --html`: a treemap and a table of the folder that is open, which the URL's hash names.
//
// For tests: window.treemap has `busy`, `boxes` (the drawn boxes, outer before inner: path, x, y, w, h, group, and `small` for
// the rest of a group that is too small to draw), `here` (the open path), `moving`, and `firstDraw` (milliseconds from
// navigation to the first map).

const ROWS = 300;  // rows of the table before "Show all"
const MOST_SHORTENED = 3000;  // names that are measured

/** Distinguishes a row from earlier siblings of the same name: `:1`, `:2`, ... */
function twin(row) {
  let found = 0;
  for (const sibling of children(parent[row])) {
    if (sibling === row) break;
    if (names[sibling] === names[row]) found++;
  }
  return found ? `:${found}` : "";
}

/** The hash of a group: its path, after the number of the grouping where that is not the first. */
const hashOf = (row) => `#${view === first ? "" : `?${view}/`}`
  + pathOf(row).map((one) => encodeURIComponent(names[one]) + twin(one)).join("/");

/** The number of the grouping in a hash, and its path. */
function parsed(hash) {
  const [, number, path] = /^#?(?:\?(\d+)\/)?(.*)$/.exec(hash);
  return [number in views && leaves ? Number(number) : first, path];
}

/** The group that the path in a hash names, or the innermost one on it that exists. */
function rowOf(path) {
  let row = 0;
  if (!path) return row;
  for (const part of path.split("/")) {
    let [name, number] = part.split(":");
    try { name = decodeURIComponent(name); } catch { return row; }
    const next = [...children(row)].filter((one) => names[one] === name)[Number(number) || 0];
    if (next === undefined || !isGroup(next)) return row;
    row = next;
  }
  return row;
}

// ---- state ----------------------------------------------------------------------------------------------------------

let first = 0, here = 0, measure = "file", area = "size", lit = null, order = { key: "share", down: true };
let weights, byWeight, hues;
const WHERE = [["file", "in the Image"], ["memory", "in memory"]];

const now = (row, kind = measure) => sizes.now[kind][row];
const before = (row, kind = measure) => sizes.before[kind][row];
const growth = (row) => compared ? now(row) - before(row) : 0;

/** Compute the area of every row on the map; again after another choice of bytes or area. */
function weigh() {
  weights = sizes.now[measure];
  byWeight = new Map();
  hues = huesOf();
  if (area === "growth") {
    weights = new Float64Array(names.length);
    for (let row = names.length - 1; row >= 0; row--) {
      if (!isGroup(row)) weights[row] = Math.abs(growth(row));
      if (row) weights[parent[row]] += weights[row];
    }
  }
}

/** A hue for each tone, the largest first, so that neighbours differ. Bytes without an owner are grey. */
function huesOf() {
  const totals = new Map();
  for (const row of children(0)) {
    if (isGroup(row) || (parent[row] === 0 && byFolder() && !names[row].startsWith("["))) {
      totals.set(tone[row], (totals.get(tone[row]) ?? 0) + now(row));
    }
  }
  const ranked = [...totals.keys()].sort((a, b) => totals.get(b) - totals.get(a));
  return new Map(ranked.map((one, rank) => [one, (250 + 137.5 * rank) % 360]));
}

const byFolder = () => ["source", "symbol"].includes(views[view].by?.[0]);

function sorted(row) {
  if (!byWeight.has(row)) byWeight.set(row, [...children(row)].sort((a, b) => weights[b] - weights[a]));
  return byWeight.get(row);
}

/** Highlight matches of a search: 2 for a match and everything in it, 1 for groups around one. `net/core` is a path. */
function search(text) {
  const query = text.trim().toLowerCase();
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

// ---- text -----------------------------------------------------------------------------------------------------------

function human(size) {
  if (size < 1024) return `${size} B`;
  let unit = 0;
  for (size /= 1024; size >= 1023.95 && unit < 3; unit++) size /= 1024;
  return `${size.toFixed(1)} ${["KiB", "MiB", "GiB", "TiB"][unit]}`;
}

const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
const exact = (size) => counted(size, "byte");
const signed = (size, text) => (size > 0 ? "+" : size < 0 ? "\u2212" : "") + text(Math.abs(size));

function percent(part, whole) {
  if (!part || !whole) return "";
  return part / whole < 0.0005 ? "< 0.1 %" : `${(100 * part / whole).toFixed(1)} %`;
}

const toneOf = (size) => size > 0 ? "grown" : size < 0 ? "shrunk" : "dim";

/** How a size changed: `+1.0 KiB (+3.2 %)`, `unchanged`, `new`. */
function describeChange(size, old) {
  if (size === old) return "unchanged";
  if (!size) return `removed, ${signed(-old, human)}`;
  return !old ? "new" : `${signed(size - old, human)} (${signed(size - old, (by) => percent(by, old))})`;
}

function element(tag, properties = {}, ...inside) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...inside);
  return made;
}

// ---- around the map -------------------------------------------------------------------------------------------------

function showTip(row, x, y) {
  const tip = $("tip");
  tip.hidden = row < 0;
  if (row < 0) return;
  const lines = [element("b", {}, names[row]), element("span", {}, textPath(Math.max(0, parent[row])))];
  for (const [kind, where] of WHERE) {
    const [size, old] = [now(row, kind), before(row, kind)], share = percent(size, now(0, kind));
    const line = element("div", {}, `${human(size)} ${where}`, element("span", {}, share && `, ${share} of all`));
    const change = element("span", { className: toneOf(size - old) }, describeChange(size, old));
    if (compared && (size || old)) line.append(element("span", {}, ", "), change);
    lines.push(line);
  }
  if (isGroup(row)) lines.push(element("span", {}, counted([...children(row)].length, "part")));
  tip.replaceChildren(...lines);
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, x + 16 + width > innerWidth ? x - width - 12 : x + 16)}px`;
  tip.style.top = `${Math.max(4, y + 18 + height > innerHeight ? y - height - 12 : y + 18)}px`;
}

function headline() {
  $("headline").replaceChildren(...WHERE.map(([kind, where]) => {
    const [size, old] = [now(0, kind), before(0, kind)];
    const block = element("div", { title: exact(size) }, element("b", {}, human(size)), element("span", {}, where));
    const title = `${signed(size - old, exact)}; before ${exact(old)}`;
    if (compared) block.append(" ", element("span", { className: toneOf(size - old), title }, describeChange(size, old)));
    return block;
  }));
}

function legend() {
  if (!compared) return $("legend").replaceChildren(`Colours mark ${views[view].of}`);
  const canvas = element("canvas", { width: 180, height: 1 }), context = canvas.getContext("2d");
  for (let x = 0; x < 180; x++) {
    context.fillStyle = css(change(x / 89.5 - 1));
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
let shown = ROWS, shownRows = [];

/** The rows of the table: the open folder's children, or during a search the outermost matches below it. */
function listed() {
  if (!lit) return [...children(here)];
  const found = [];
  for (let row = here + 1; row < end[here]; row = lit[row] === 2 ? end[row] : row + 1) {
    if (lit[row] === 2) found.push(row);
  }
  return found;
}

/** A name in two parts, of which only the first is shortened where there is no room: a path keeps its end. */
function ends(name) {
  const last = name.slice(name.lastIndexOf("/", name.length - 2) + 1);
  const kept = Math.min(last.length < name.length ? last.length + 1 : 10, 18, name.length >> 1);
  const start = element("span", { className: "start" }, name.slice(0, name.length - kept));
  return [start, element("span", { className: "end" }, name.slice(-kept))];
}

/** Shorten the names in the table that have no room. The others stay whole, to be copied and found. */
function shorten() {
  const cells = [...$("rows").querySelectorAll(".name div")].slice(0, MOST_SHORTENED);
  const words = cells.map((cell) => cell.querySelector(".words"));
  for (const one of words) if (one.childElementCount) one.replaceChildren(one.textContent);
  const long = words.filter((one, at) => cells[at].scrollWidth > cells[at].clientWidth);
  for (const one of long) one.replaceChildren(...ends(one.textContent));
}

/** The cells of a line for one row, or for the total of several; `most` is the size of the longest bar in bytes. */
function cells(rows, name, most) {
  const sum = (size) => rows.reduce((all, row) => all + size(row), 0), bytes = sum(now), grown = sum(growth);
  const made = [element("td", { title: name, className: "name" }, element("div"))];
  for (const [kind] of WHERE) {
    const size = sum((row) => now(row, kind));
    made.push(element("td", { title: exact(size), className: size ? kind : `${kind} dim` }, human(size)));
  }
  const bar = element("i"), share = element("td", { className: "share" }, percent(bytes, now(here)));
  bar.style.width = `${40 * bytes / most}px`;
  if (bytes && most) share.prepend(bar);
  made.push(share);
  const title = `${signed(grown, exact)}; before ${exact(bytes - grown)}`;
  if (compared) made.push(element("td", { className: `growth ${toneOf(grown)}`, title }, signed(grown, human)));
  return made;
}

function line(row, most) {
  const name = pathOf(row).slice(pathOf(here).length).map((one) => names[one]).join("/");
  const made = cells([row], name, most), target = isGroup(row) ? row : parent[row], swatch = element("i");
  swatch.style.background = css(tint(row));
  const words = { className: "words" };
  made[0].firstChild.append(swatch, target === here
    ? element("span", words, name)
    : element("a", { ...words, href: hashOf(target) }, name));
  const found = element("tr", { className: target === here ? "" : "group" }, ...made);
  found.onclick = (event) => {
    if (target !== here && !event.target.closest("a")) location.hash = hashOf(target);
  };
  found.onmouseenter = () => { hovered = row; blit(); };
  found.onmouseleave = () => { hovered = -1; blit(); };
  found.dataset.row = row;
  return found;
}

function table() {
  $("heads").replaceChildren(...columns().map(({ key, title }) => {
    const button = element("button", { type: "button" }, title);
    const head = element("th", { scope: "col", className: key }, button);
    if (order.key === key) head.ariaSort = order.down ? "descending" : "ascending";
    button.onclick = () => {
      order = { key, down: order.key === key ? !order.down : key !== "name" };
      table();
      $("heads").querySelector("[aria-sort] button").focus();
    };
    return head;
  }));
  const value = COLUMNS.find((column) => column.key === order.key).value, turn = order.down ? -1 : 1;
  const compare = order.key === "name" ? collator.compare : (a, b) => a - b;
  const rows = listed().sort((a, b) => turn * compare(value(a), value(b)) || a - b);
  shownRows = rows;
  const most = rows.reduce((found, row) => Math.max(found, now(row)), 0);
  $("rows").replaceChildren(...rows.slice(0, shown).map((row) => line(row, most)));
  shorten();
  $("more").hidden = rows.length <= shown;
  $("more").textContent = `Show all ${rows.length.toLocaleString("en")}`;
  const total = cells(lit ? rows : [here], textPath(here) || names[0], 0);
  total[0].firstChild.append(lit ? `${rows.length.toLocaleString("en")} found in ${names[here]}` : names[here]);
  $("total").replaceChildren(element("tr", {}, ...total));
}

/** What the table shows, all rows of it, as CSV with exact numbers; a spreadsheet takes no name for a formula. */
function csv() {
  const text = (cell) => `"${(/^[=+\-@]./.test(cell) ? `'${cell}` : cell).replaceAll('"', '""')}"`;
  const head = ["name", "image_bytes", "memory_bytes"];
  if (compared) head.push("image_bytes_before", "memory_bytes_before");
  const lines = [head.join()];
  for (const row of shownRows) {
    const numbers = WHERE.map(([kind]) => now(row, kind));
    if (compared) numbers.push(...WHERE.map(([kind]) => before(row, kind)));
    lines.push([text(textPath(row)), ...numbers].join());
  }
  return lines.join("\r\n") + "\r\n";
}

function download() {
  const parts = ["sizes", ...(leaves ? [views[view].title] : []), textPath(here)].filter(Boolean).join("-");
  const name = parts.toLowerCase().replace(/[^a-z0-9.]+/g, "-").slice(0, 80);
  const href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  element("a", { href, download: `${name.replace(/^[-.]+|[-.]+$/g, "")}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}

// ---- actions --------------------------------------------------------------------------------------------------------

function refresh(from = here) {
  hovered = selected = -1;
  showTip(-1);
  for (const [id, value] of [["measure", measure], ["area", area], ["by", String(view)]])
    for (const button of $(id).children) button.ariaPressed = String(button.value === value);
  breadcrumb();
  legend();
  table();
  draw(from);
}

/** Open the group that the hash names, in its grouping, which takes a moment to make. */
function open() {
  const [number, path] = parsed(location.hash), from = here;
  shown = ROWS;
  if (number === view) {
    here = rowOf(path);
    return refresh(from);
  }
  busy(`Grouping ${counted(leaves.paths.length, "part")} ...`, () => {
    arrange(number);
    weigh();
    search($("search").value);
    boxes = [];
    here = rowOf(parsed(location.hash)[1]);
    refresh();
  });
}

/** Say what is being done, do it once that is seen, and take the words away. */
function busy(words, work) {
  $("loading").textContent = words;
  $("loading").hidden = false;
  document.querySelector("main").ariaBusy = "true";
  requestAnimationFrame(() => setTimeout(() => {
    try { work(); } finally {
      $("loading").hidden = true;
      document.querySelector("main").ariaBusy = "false";
    }
  }));
}

const up = () => { if (here) location.hash = hashOf(parent[here]); };

/** Select the next smaller box of the open folder, or the next larger one. */
function step(forward) {
  const rows = boxes.filter((box) => parent[box.row] === here && !box.small).map((box) => box.row);
  const at = rows.indexOf(selected) + (forward ? 1 : -1);
  selected = rows[at < 0 ? 0 : Math.min(at, rows.length - 1)] ?? -1;
  const box = boxes.find((one) => one.row === selected), frame = map.getBoundingClientRect();
  if (box) showTip(selected, frame.x + box.x + box.w / 2, frame.y + box.y + box.h / 2);
  blit();
}

function listen() {
  map.onmousemove = (event) => {
    const { inner, opens } = under(event.offsetX, event.offsetY);
    const child = pathOf(inner)[pathOf(here).length];
    map.style.cursor = opens > 0 ? "pointer" : "default";
    showTip(inner, event.clientX, event.clientY);
    for (const row of $("rows").querySelectorAll(".here")) row.classList.remove("here");
    $("rows").querySelector(`[data-row="${child}"]`)?.classList.add("here");
    if (hovered !== opens) { hovered = opens; blit(); }
  };
  map.onmouseleave = () => { hovered = -1; showTip(-1); blit(); };
  map.onclick = (event) => {
    const { opens } = under(event.offsetX, event.offsetY);
    if (opens > 0) location.hash = hashOf(opens);
  };
  map.onblur = () => { selected = -1; showTip(-1); blit(); };
  map.onkeydown = (event) => {
    if (event.key.startsWith("Arrow")) {
      event.preventDefault();
      step(event.key === "ArrowRight" || event.key === "ArrowDown");
    } else if (event.key === "Enter" && selected > 0 && isGroup(selected)) location.hash = hashOf(selected);
  };
  document.onkeydown = (event) => {
    const typing = event.target === $("search");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && !typing) { event.preventDefault(); $("search").focus(); }
    else if (event.key === "ArrowDown" && typing) { event.preventDefault(); $("rows").querySelector("a")?.focus(); }
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
  $("by").onclick = (event) => {
    if (event.target.value) location.hash = Number(event.target.value) === first ? "" : `?${event.target.value}/`;
  };
  $("csv").onclick = download;
  $("rows").onkeydown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], links = [...$("rows").querySelectorAll("a")];
    const next = links[links.indexOf(document.activeElement) + (step ?? NaN)];
    if (next) { event.preventDefault(); next.focus(); }
  };
  $("more").onclick = () => { shown = Infinity; table(); };
  addEventListener("hashchange", open);
  dark.addEventListener("change", () => refresh());
  new ResizeObserver(() => { if (extent() !== drawn) draw(); }).observe($("frame"));
  new ResizeObserver(shorten).observe(document.querySelector("section"));
}

async function start() {
  await load();
  first = view;
  $("by").hidden = !leaves;
  if (leaves) {
    $("by").replaceChildren(...views.map(({ title }, number) =>
      element("button", { type: "button", value: String(number), title: `Group by ${views[number].by.join(", ")}` }, title)));
  }
  if (compared) order.key = "growth";
  document.body.classList.toggle("compared", compared);
  $("area").hidden = !compared;
  weigh();
  headline();
  window.treemap = {
    get boxes() {
      return boxes.map(({ row, x, y, w, h, small }) => ({ path: textPath(row), x, y, w, h, group: isGroup(row), small }));
    },
    get here() { return textPath(here); },
    get moving() { return moving > 0; },
    get firstDraw() { return firstDraw; },
    get busy() { return !$("loading").hidden; },
  };
  listen();
  $("loading").hidden = true;
  document.querySelector("main").ariaBusy = "false";
  for (const tool of document.querySelectorAll(":disabled")) tool.disabled = false;
  open();
}

start().catch((error) => {
  $("loading").hidden = true;
  $("headline").textContent = `The page cannot be shown: ${error.message}. It needs a browser from 2023 or newer.`;
  throw error;
});
