"use strict";
// Lets people navigate the pictures. A picture is in a figure, and its tree is in a JSON element beside it. Nothing is
// loaded, and names are only ever inserted as text.

(() => {
  const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];
  const HUES = 10;
  const SEPARATOR = "/";
  /** Pixels: a tile that is smaller is put together with others, is not drawn, has no room for what is in it. */
  const LEAST = { area: 180, side: 3, line: 15, inside: { width: 110, height: 80 } };
  /** Pixels: about what a character and the edges of a tile take. */
  const CHARACTER = 6.9;
  const EDGES = 14;
  /** So many characters of a longer name are worth to be shown. */
  const TELLING = 7;
  /** The room for the name of a directory above what is in it. */
  const HEADER = 19;
  /** What takes more of the picture has no colour of its own, so that what is in it can have several. */
  const DOMINANT = 0.55;
  const NEUTRAL = 7;
  /** How many levels of directories are drawn. */
  const DEPTH = 4;
  /** The most tiles of a picture, of the directory that is open, of one in it, and rows of the table below. */
  const MOST = { tiles: 320, open: 200, inside: 90, rows: 150 };

  /** Three digits and a decimal unit, a half up, as everywhere in the page. */
  function bytes(count) {
    if (count < 1000) return `${count} B`;
    let unit = 1;
    while (unit + 1 < UNITS.length && Math.round(count / 1000 ** unit) >= 1000) unit += 1;
    const digits = [2, 1].find((digits) => Math.round(count / 10 ** (3 * unit - digits)) < 1000) ?? 0;
    return `${(Math.round(count / 10 ** (3 * unit - digits)) / 10 ** digits).toFixed(digits)} ${UNITS[unit]}`;
  }

  function signed(by) {
    return by === 0 ? "±0 B" : by > 0 ? `+${bytes(by)}` : `−${bytes(-by)}`;
  }

  function share(part, of) {
    const thousandths = of > 0 ? Math.round((part * 1000) / of) : 0;
    return part > 0 && thousandths === 0 ? "<0.1%" : `${(thousandths / 10).toFixed(1)}%`;
  }

  function number(count) {
    return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
  }

  function element(name, attributes = {}, ...content) {
    const made = document.createElement(name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    made.append(...content);
    return made;
  }

  // Trees. A node has a name, or null if it combines files that are too small to be listed; the bytes by which it grew and
  // shrank; the number of its files; and, if it is a directory, its children.

  function directory(name) {
    return { name, parent: null, more: 0, less: 0, files: 0, recipe: 0, layer: 0, children: [], sorted: null };
  }

  function leaf(name, more, less, files, recipe, layer) {
    return { name, parent: null, more, less, files, recipe, layer, children: null, sorted: null };
  }

  /** Puts a node into a directory, of which all is known that is in the node. */
  function put(node, into) {
    node.parent = into;
    into.children.push(node);
    into.more += node.more;
    into.less += node.less;
    into.files += node.files;
  }

  function area(node) {
    return node.more + node.less;
  }

  /** Reads what src/ops/report/page/tree_json.rs writes. */
  function decode([name, content, itsRecipe, itsLayer], aboveRecipe = 0, aboveLayer = 0) {
    const recipe = itsRecipe ?? aboveRecipe;
    const layer = itsLayer ?? aboveLayer;
    if (typeof content === "number") {
      const [known, files] = typeof name === "number" ? [null, name] : [name, 1];
      return leaf(known, Math.max(content, 0), Math.max(-content, 0), files, recipe, layer);
    }
    const node = directory(name);
    for (const child of content) put(decode(child, recipe, layer), node);
    return node;
  }

  /** The same files below what they have in common: a recipe, a layer. */
  function grouped(tree, title, names, mark) {
    const split = (node) => {
      const parts = new Map();
      const add = (group, part) => {
        if (!parts.has(group)) parts.set(group, directory(node.name));
        put(part, parts.get(group));
      };
      for (const child of node.children) {
        if (child.children) split(child).forEach((part, group) => add(group, part));
        else add(child[mark], leaf(child.name, child.more, child.less, child.files, child.recipe, child.layer));
      }
      return parts;
    };
    const root = directory(title);
    split(tree).forEach((part, group) => {
      part.name = names[group] ?? String(group);
      put(part, root);
    });
    return root;
  }

  /** Several nodes as one that has no name. */
  function together(nodes) {
    const one = leaf(null, 0, 0, 0, 0, 0);
    one.parent = nodes[0].parent;
    for (const node of nodes) {
      one.more += node.more;
      one.less += node.less;
      one.files += node.files;
    }
    return one;
  }

  function byArea(a, b) {
    return area(b) - area(a) || (a.name < b.name ? -1 : 1);
  }

  /** What a directory holds, the largest first, its files without a name as one. */
  function contents(node) {
    if (!node.sorted) {
      const nameless = node.children.filter((child) => child.name === null);
      const named = nameless.length > 0 ? node.children.filter((child) => child.name !== null) : node.children;
      node.sorted = (nameless.length > 0 ? [...named, together(nameless)] : [...named]).sort(byArea);
    }
    return node.sorted;
  }

  /** What is drawn of a directory: where tiles would be too small or too many, the smallest are one, at the end. */
  function legible(node, pixels, most) {
    const all = contents(node);
    const least = (LEAST.area / pixels) * area(node);
    let end = Math.min(all.length, most);
    while (end > 0 && area(all[end - 1]) < least) end -= 1;
    if (all.length - end < 2) return all;
    return [...all.slice(0, end), together(all.slice(end))];
  }

  function label(node) {
    if (node.name === null) return node.files === 1 ? "1 small file" : `${number(node.files)} small files`;
    return node.children && node.parent ? `${node.name}/` : node.name;
  }

  /** The way from the root to a node, that among them. */
  function way(node) {
    const nodes = [];
    for (let at = node; at; at = at.parent) nodes.unshift(at);
    return nodes;
  }

  function fullName(node) {
    const [root, ...rest] = way(node);
    const start = root.name === SEPARATOR ? SEPARATOR : "";
    return rest.length === 0 ? root.name : start + rest.map((at) => at.name ?? label(at)).join(SEPARATOR);
  }

  // Layout: rectangles as close to squares as possible (Bruls, Huizing, van Wijk 2000).

  function squarify(nodes, place) {
    const whole = nodes.reduce((sum, node) => sum + area(node), 0);
    const scale = whole > 0 ? (place.width * place.height) / whole : 0;
    const free = { ...place };
    const places = [];
    let at = 0;
    while (at < nodes.length) {
      const side = Math.min(free.width, free.height);
      let end = at;
      let sum = 0;
      let largest = 0;
      let smallest = Infinity;
      let worst = Infinity;
      while (end < nodes.length) {
        const next = area(nodes[end]) * scale;
        const widened = worstOf(sum + next, Math.max(largest, next), Math.min(smallest, next), side);
        if (end > at && widened > worst) break;
        sum += next;
        largest = Math.max(largest, next);
        smallest = Math.min(smallest, next);
        worst = widened;
        end += 1;
      }
      const depth = side > 0 ? sum / side : 0;
      const isColumn = free.width >= free.height;
      let along = 0;
      for (; at < end; at += 1) {
        const length = depth > 0 ? (area(nodes[at]) * scale) / depth : 0;
        places.push(
          isColumn
            ? { x: free.x, y: free.y + along, width: depth, height: length }
            : { x: free.x + along, y: free.y, width: length, height: depth },
        );
        along += length;
      }
      if (isColumn) {
        free.x += depth;
        free.width = Math.max(free.width - depth, 0);
      } else {
        free.y += depth;
        free.height = Math.max(free.height - depth, 0);
      }
    }
    return places;
  }

  function worstOf(sum, largest, smallest, side) {
    if (smallest <= 0 || side <= 0) return Infinity;
    return Math.max((side * side * largest) / (sum * sum), (sum * sum) / (side * side * smallest));
  }

  /** A picture that opens. */
  class Picture {
    constructor(figure, source) {
      this.figure = figure;
      this.isChange = figure.dataset.kind === "change";
      this.recipes = source.recipes;
      this.layers = source.layers;
      const tree = decode(source.tree);
      const by = (name, title, names, mark) => ({ name, make: () => grouped(tree, title, names, mark), isThere: names.length > 0 });
      this.views = [
        { name: "Directory", make: () => tree, isThere: true },
        by("Recipe", "All recipes", this.recipes, "recipe"),
        by("Layer", "All layers", this.layers, "layer"),
      ].filter((view) => view.isThere);
      this.build();
      this.show(this.views[0]);
      // A click on another view must not have to wait.
      const idle = window.requestIdleCallback ?? window.setTimeout;
      for (const view of this.views) idle(() => (view.tree ??= view.make()));
    }

    build() {
      const name = this.figure.getAttribute("aria-label");
      this.buttons = element("div", { class: "views", role: "group", "aria-label": "Sizes by" });
      for (const view of this.views) {
        view.button = element("button", { type: "button" }, view.name);
        this.buttons.append(view.button);
      }
      this.crumbs = element("nav", { class: "crumbs", "aria-label": `Where in ${name}` });
      this.map = element("div", { class: "tilesmap", role: "group", "aria-label": name });
      this.told = element("p", { class: "told", role: "status" });
      this.table = element("div", { class: "entries", tabindex: "0", role: "group", "aria-label": `Table of ${name}` });
      this.figure.replaceChildren(...(this.views.length > 1 ? [this.buttons] : []), this.crumbs, this.map, this.told, this.table);
      /** What the buttons of the way, the tiles and the rows of the table stand for. */
      this.steps = new Map();
      this.tiles = new Map();
      this.rows = new Map();
      const button = (event) => event.target.closest?.("button");
      this.buttons.addEventListener("click", (event) => {
        const view = this.views.find((view) => view.button === button(event));
        if (view) this.show(view);
      });
      this.crumbs.addEventListener("click", (event) => this.choose(this.steps.get(button(event))));
      this.table.addEventListener("click", (event) => {
        const node = this.rows.get(button(event));
        if (node) this.open(node);
      });
      this.map.addEventListener("click", (event) => this.choose(this.tiles.get(button(event))));
      for (const kind of ["mouseover", "focusin"]) {
        this.map.addEventListener(kind, (event) => this.tell(this.tiles.get(button(event))));
      }
      this.map.addEventListener("keydown", (event) => this.press(event));
      new ResizeObserver(() => {
        if (this.map.clientWidth !== this.width) this.draw();
      }).observe(this.map);
    }

    show(view) {
      view.tree ??= view.make();
      for (const other of this.views) other.button.setAttribute("aria-pressed", String(other === view));
      this.figure.dataset.view = view.name.toLowerCase();
      this.figure.dataset.total = String(area(view.tree));
      this.open(view.tree);
    }

    open(node) {
      this.node = node;
      this.draw();
      this.tell();
      this.steps.clear();
      const nodes = way(node);
      const steps = nodes.flatMap((at, number) => {
        const slash = number > 0 && nodes[number - 1].name !== SEPARATOR ? [element("span", {}, SEPARATOR)] : [];
        if (at === node) return [...slash, element("b", { "aria-current": "location" }, at.name)];
        const button = element("button", { type: "button" }, at.name);
        this.steps.set(button, at);
        return [...slash, button];
      });
      this.crumbs.replaceChildren(...steps, element("span", { class: "sum" }, this.figureOf(node)));
    }

    /** Opens another directory, and leaves the keyboard in the picture. */
    reopen(node) {
      this.open(node);
      this.map.querySelector(".tile")?.focus({ preventScroll: true });
    }

    choose(node) {
      if (!node) return;
      if (node.children) this.reopen(node);
      else this.tell(node);
    }

    press(event) {
      const tiles = [...this.map.querySelectorAll(".tile.d0")];
      const at = tiles.indexOf(document.activeElement);
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step && at >= 0) {
        const next = tiles[(at + step + tiles.length) % tiles.length];
        document.activeElement.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      } else if ((event.key === "Escape" || event.key === "Backspace") && this.node.parent) {
        this.reopen(this.node.parent);
      } else {
        return;
      }
      event.preventDefault();
    }

    figureOf(node) {
      return this.isChange ? signed(node.more - node.less) : bytes(node.more);
    }

    tell(node) {
      if (!node) {
        this.told.textContent = "A click opens a directory. With the keyboard: arrows, Enter, and Escape to go back.";
        return;
      }
      const parts = [fullName(node)];
      if (this.isChange && node.more > 0 && node.less > 0) parts.push(`${signed(node.more)} and ${signed(-node.less)}`);
      else parts.push(this.figureOf(node));
      if (!this.isChange) parts.push(`${share(node.more, area(this.node))} of ${this.node.name}`);
      if (node.children) parts.push(node.files === 1 ? "1 file" : `${number(node.files)} files`);
      else if (node.name !== null) {
        if (this.recipes[node.recipe]) parts.push(`recipe ${this.recipes[node.recipe]}`);
        if (this.layers.length > 1) parts.push(`layer ${this.layers[node.layer]}`);
      }
      this.told.textContent = parts.join(" · ");
    }

    draw() {
      const { clientWidth: width, clientHeight: height } = this.map;
      if (!this.node || width === 0) return;
      this.width = width;
      const had = this.map.contains(document.activeElement);
      const places = this.arrange({ x: 0, y: 0, width, height });
      this.tiles.clear();
      const made = document.createDocumentFragment();
      for (const place of places) made.append(this.tile(place, width, height));
      const first = made.firstElementChild;
      if (first) first.tabIndex = 0;
      this.map.replaceChildren(made);
      if (had) first?.focus({ preventScroll: true });
      this.tabulate(places);
    }

    /** What is drawn and where. Of the directories that have room for what is in them, the larger are opened first. */
    arrange(whole) {
      const all = [];
      const waiting = [];
      let hues = 0;
      const nextHue = () => {
        if (hues % HUES === NEUTRAL) hues += 1;
        return hues++ % HUES;
      };
      const fill = (nodes, room, depth, hue) => {
        const places = squarify(nodes, room);
        nodes.forEach((node, at) => {
          const { x, y, width, height } = places[at];
          if (width < LEAST.side || height < LEAST.side || all.length >= MOST.tiles) return;
          const mayOpen = node.children && depth + 1 < DEPTH && width >= LEAST.inside.width && height >= LEAST.inside.height;
          const isDominant = hue === null && mayOpen && area(node) > DOMINANT * area(this.node);
          const characters = (width - EDGES) / CHARACTER;
          const tile = { node, x, y, width, height, depth, opens: false, hue: hue ?? (isDominant ? NEUTRAL : nextHue()), characters };
          tile.hasLabel = height >= LEAST.line && characters >= Math.min(label(node).length, TELLING);
          all.push(tile);
          if (mayOpen) waiting.push({ tile, inside: isDominant ? null : tile.hue });
        });
      };
      fill(legible(this.node, whole.width * whole.height, MOST.open), whole, 0, null);
      while (waiting.length > 0) {
        waiting.sort((a, b) => a.tile.width * a.tile.height - b.tile.width * b.tile.height);
        const { tile, inside } = waiting.pop();
        const room = { x: tile.x + 3, y: tile.y + HEADER, width: tile.width - 6, height: tile.height - HEADER - 3 };
        const nodes = legible(tile.node, room.width * room.height, MOST.inside);
        if (all.length + nodes.length > MOST.tiles) continue;
        tile.opens = true;
        fill(nodes, room, tile.depth + 1, inside);
      }
      return all;
    }

    tile({ node, x, y, width, height, depth, hue, opens, hasLabel, characters }, wholeWidth, wholeHeight) {
      const classes = ["tile", `d${depth}`];
      if (!this.isChange) classes.push(`c${hue}`);
      else if (opens) classes.push(`c${NEUTRAL}`);
      else classes.push(node.more >= node.less ? "more" : "less");
      if (node.name === null) classes.push("many");
      const isRow = opens || height < 2 * LEAST.line + 6;
      if (!hasLabel) classes.push("bare");
      else if (isRow) classes.push("row");
      const [name, figure] = [label(node), this.figureOf(node)];
      const made = document.createElement("button");
      made.type = "button";
      made.className = classes.join(" ");
      made.tabIndex = -1;
      made.setAttribute("aria-label", `${name}, ${figure}`);
      if (hasLabel) {
        made.append(element("span", {}, name));
        const needed = isRow ? name.length + 1 + figure.length : figure.length;
        if (characters >= needed) made.append(element("span", {}, figure));
      }
      const percent = (value, of) => `${((value / of) * 100).toFixed(3)}%`;
      made.style.cssText =
        `left:${percent(x, wholeWidth)};top:${percent(y, wholeHeight)};` +
        `width:${percent(width, wholeWidth)};height:${percent(height, wholeHeight)}`;
      this.tiles.set(made, node);
      return made;
    }

    /** What the picture shows and names as a table, and all that the directory holds. */
    tabulate(places) {
      const headings = this.isChange ? ["Name", "In all", "Grew", "Shrank", "Files"] : ["Name", "Size", "Share", "Files"];
      const top = contents(this.node).slice(0, MOST.rows);
      const below = new Map();
      let rows = top.length;
      for (const { node, depth, hasLabel } of places) {
        if (depth === 0 || !hasLabel || rows >= MOST.rows) continue;
        if (!below.has(node.parent)) below.set(node.parent, []);
        below.get(node.parent).push(node);
        rows += 1;
      }
      this.rows.clear();
      const body = element("tbody");
      const add = (node, depth) => {
        const text = element("code", {}, label(node));
        const button = node.children ? element("button", { type: "button" }, text) : null;
        if (button) this.rows.set(button, node);
        const figures = this.isChange
          ? [signed(node.more - node.less), bytes(node.more), bytes(node.less)]
          : [bytes(node.more), share(node.more, area(this.node))];
        const cells = [...figures, number(node.files)].map((figure) => element("td", { class: "n" }, figure));
        body.append(element("tr", { class: `d${depth}` }, element("td", { class: "name" }, button ?? text), ...cells));
        for (const child of below.get(node) ?? []) add(child, depth + 1);
      };
      for (const node of top) add(node, 0);
      const left = contents(this.node).length - top.length;
      if (left > 0) body.append(element("tr", {}, element("td", { colspan: headings.length }, `and ${number(left)} more`)));
      const head = headings.map((text, at) => element("th", at > 0 ? { scope: "col", class: "n" } : { scope: "col" }, text));
      const caption = element("caption", {}, `${fullName(this.node)}, ${this.figureOf(this.node)}`);
      this.table.replaceChildren(element("table", {}, caption, element("thead", {}, element("tr", {}, ...head)), body));
      this.table.scrollTop = 0;
    }
  }

  function start(figure) {
    const source = document.getElementById(`${figure.id}-data`);
    new Picture(figure, JSON.parse(source.textContent));
    // The table that replaces the picture without the script says the same.
    for (const table of figure.parentElement.querySelectorAll(":scope > .static")) table.hidden = true;
  }

  // If there are many platforms, the pictures of the first are drawn at once, and others shortly before they are visible.
  const AT_ONCE = 4;
  const near = new IntersectionObserver(
    (figures) => {
      for (const { isIntersecting, target } of figures) {
        if (!isIntersecting) continue;
        near.unobserve(target);
        start(target);
      }
    },
    { rootMargin: "100%" },
  );
  document.querySelectorAll("figure.treemap").forEach((figure, at) => (at < AT_ONCE ? start(figure) : near.observe(figure)));

  // Paper is not interactive.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const details of closed) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
  });
  document.documentElement.dataset.ready = "true";
})();
