// The tree of `kinspect size --html`: read from the page, and arranged anew for another grouping.
// It is one module with size_map.js and size_page.js, which draw it.

const $ = (id) => document.getElementById(id);
const PRESETS = [
  { title: "Folders", of: "top-level folders", by: ["folder", "source", "symbol"] },
  { title: "Files", of: "top-level folders", by: ["source", "symbol"] },
  { title: "Symbols", of: "top-level folders", by: ["symbol"] },
  { title: "Sections", of: "sections", by: ["section", "folder", "source", "symbol"] },
  { title: "Kinds", of: "kinds of contents", by: ["kind", "section", "folder", "source", "symbol"] },
];

// Each row is a group; its children follow it, up to `end`. sizes: now.file, now.memory, before.file, before.memory
// by row. `tone` is a number that rows of one colour share: of the top-level group, or of the top-level folder.
let names, parent, end, tone, sizes, compared;
let views = [], view = 0;  // the groupings to switch between, and the number of the one that is shown
let leaves = null;  // what another grouping is made of: its leaves, in columns

async function load() {
  const packed = Uint8Array.from(atob($("data").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const data = await new Response(stream).json();
  $("data").remove();
  compared = data.sizes.length === 4;
  data.names.forEach((name, row) => { if (typeof name === "number") data.names[row] = data.names[name]; });
  const [file, beyond, grown, beyondBefore] = data.sizes, sum = (a, b) => a.map((size, row) => size + b[row]);
  const fileBefore = compared ? sum(file, grown) : [];
  const columns = [file, sum(file, beyond), ...(compared ? [fileBefore, sum(fileBefore, beyondBefore)] : [])];
  if (!data.by.length) {
    views = [{ of: "top-level folders" }];
    return take(data.names, data.counts, columns);
  }
  const same = (one) => one.by.join() === data.by.join() || (data.by.length === 1 && one.by[0] === data.by[0]);
  views = PRESETS.some(same) ? PRESETS : [...PRESETS, { title: data.by.join(", "), of: "top-level groups", by: data.by }];
  leaves = leavesOf(data.names, data.counts, columns);
  arrange(views.findIndex(same));
}

/** Take a tree: names and numbers of children in the order of rows, and the columns of sizes. */
function take(allNames, counts, columns, families = null) {
  const count = allNames.length, none = new Float64Array(count);
  names = allNames;
  parent = new Int32Array(count).fill(-1);
  end = new Int32Array(count);
  tone = families ?? new Int32Array(count);
  const open = [], left = [];  // the groups around the row, and how many of their children are still to come
  for (let row = 0; row < count; row++) {
    if (open.length) {
      parent[row] = open.at(-1);
      left[left.length - 1]--;
    }
    if (!families) tone[row] = open.length > 1 ? tone[open.at(-1)] : row;
    if (counts[row]) {
      open.push(row);
      left.push(counts[row]);
    } else {
      end[row] = row + 1;
      while (open.length && !left.at(-1)) {
        end[open.pop()] = row + 1;
        left.pop();
      }
    }
  }
  const [file, memory, fileBefore = none, memoryBefore = none] = columns.map((column) => Float64Array.from(column));
  sizes = { now: { file, memory }, before: { file: fileBefore, memory: memoryBefore } };
}

/** The leaves of a tree by kind, section, folder, source and symbol: the path of each, and its sizes. */
function leavesOf(allNames, counts, columns) {
  const found = { root: allNames[0], paths: [], columns: columns.map(() => []) };
  const path = [], left = [counts[0]];  // the names around the row, below the root
  for (let row = 1; row < allNames.length; row++) {
    while (!left.at(-1)) { left.pop(); path.pop(); }
    left[left.length - 1]--;
    if (counts[row]) {
      path.push(allNames[row]);
      left.push(counts[row]);
    } else {
      found.paths.push([...path, allNames[row]]);
      columns.forEach((column, number) => found.columns[number].push(column[row]));
    }
  }
  return found;
}

/** The names of a leaf in another grouping. Bytes without an owner have the same name in bracket at each level. */
function regrouped([kind, section, ...rest], by) {
  const symbol = rest.at(-1) ?? section ?? kind, around = rest.length > 1 ? rest.slice(0, -1) : [symbol];
  const source = around.filter((name) => name !== ".").join("/").replace(/^\/\//, "/");
  const folders = around.length > 1 ? around.slice(0, -1) : around, found = [];
  const add = (name) => { if (!(name === found.at(-1) && name.startsWith("["))) found.push(name); };
  for (const grouping of by) {
    if (grouping === "kind") add(kind);
    else if (grouping === "section") add(section ?? kind);
    else if (grouping === "folder") folders.forEach(add);
    else if (grouping === "source" && by.indexOf("folder") >= 0 && by.indexOf("folder") < found.length) add(around.at(-1));
    else if (grouping === "source") add(source);
    else add(symbol);
  }
  return { found, folder: folders[0], source };
}

/** Show the tree in another grouping. */
function arrange(number) {
  view = number;
  const { by } = views[number], width = leaves.columns.length, root = { name: leaves.root, inner: new Map(), tone: 0 };
  const byFolder = by[0] === "source" || by[0] === "symbol", tones = new Map();
  const sources = new Map();  // of symbols without their files around them: where there are several, the file is named
  if (by.length === 1 && byFolder) {
    for (const path of leaves.paths) {
      const { found, source } = regrouped(path, by), other = sources.get(found[0]);
      sources.set(found[0], other === undefined || other === source ? source : null);
    }
  }
  leaves.paths.forEach((path, at) => {
    const { found, folder, source } = regrouped(path, by);
    if (sources.get(found[0]) === null && !source.startsWith("[")) found[0] += ` (${source})`;
    const key = byFolder ? folder : found[0];
    if (!tones.has(key)) tones.set(key, tones.size + 1);
    let node = root;
    for (const name of found) {
      node.inner ??= new Map();
      let next = node.inner.get(name);
      if (!next) node.inner.set(name, next = { name, inner: null, own: null, tone: tones.get(key) });
      node = next;
    }
    node.own ??= new Float64Array(width);
    for (let column = 0; column < width; column++) node.own[column] += leaves.columns[column][at];
  });
  const rows = { names: [], counts: [], tones: [], columns: Array.from({ length: width }, () => []) };
  const add = (name, count, shade) => {
    rows.names.push(name);
    rows.tones.push(shade);
    for (const column of rows.columns) column.push(0);
    return rows.counts.push(count) - 1;
  };
  const stack = [[root, -1]], above = [];  // not recursive: folders may be nested deeper than calls
  while (stack.length) {
    const [node, parentRow] = stack.pop(), inner = node.inner ? [...node.inner.values()] : [];
    if (inner.length && node.own) inner.push({ name: ".", inner: null, own: node.own, tone: node.tone });
    const row = add(node.name, inner.length, node.tone);
    above.push(parentRow);
    if (!inner.length && node.own) node.own.forEach((size, column) => { rows.columns[column][row] = size; });
    for (const child of inner.reverse()) stack.push([child, row]);
  }
  for (let row = above.length - 1; row > 0; row--) for (const column of rows.columns) column[above[row]] += column[row];
  take(rows.names, rows.counts, rows.columns, Int32Array.from(rows.tones));
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

