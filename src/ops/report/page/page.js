"use strict";
// What the page gains by a script: pictures that open. A picture stands in a figure; its tree is in an element of JSON
// beside it. Nothing is fetched, and names are only ever text.

(() => {
  const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];
  const HUES = 10;
  const SEPARATOR = "/";
  /** Pixels: what is smaller is not drawn, has no label, no figure, has no room for what is in it. */
  const LEAST = { side: 3, label: 42, figure: 62, line: 15, inside: { width: 70, height: 46 } };
  /** The room for the name of a directory above what is in it. */
  const HEADER = 19;
  /** What takes more of the picture has no colour of its own, so that what is in it can have several. */
  const DOMINANT = 0.55;
  const NEUTRAL = 7;
  /** How many levels of directories are drawn. */
  const DEPTH = 4;
  /** The most tiles of a picture, and rows of the table beside it. */
  const MOST = 600;
  const ROWS = 200;

  /** Three digits and a decimal unit, as everywhere in the page. */
  function bytes(count) {
    let value = count;
    let unit = 0;
    while (value >= 999.5 && unit + 1 < UNITS.length) {
      value /= 1000;
      unit += 1;
    }
    if (unit === 0) return `${count} B`;
    return `${value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0)} ${UNITS[unit]}`;
  }

  function signed(by) {
    return by === 0 ? "±0 B" : by > 0 ? `+${bytes(by)}` : `−${bytes(-by)}`;
  }

  function share(part, of) {
    const percent = of > 0 ? (part / of) * 100 : 0;
    return percent > 0 && percent < 0.05 ? "<0.1%" : `${percent.toFixed(1)}%`;
  }

  function element(name, attributes = {}, ...content) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...content);
    return made;
  }

  // Trees. A node has a name, the bytes by which it is more and less, the number of its files, and if it is a directory
  // what it holds, the largest first.

  function directory(name, parent) {
    return { name, parent, more: 0, less: 0, files: 0, children: [] };
  }

  function area(node) {
    return node.more + node.less;
  }

  /** A leaf for each file, and for each lot of files that are too small to stand alone. */
  function leaf(name, size, files, recipe, layer) {
    return { name, more: Math.max(size, 0), less: Math.max(-size, 0), files, recipe, layer, others: name === null };
  }

  /** Reads what src/ops/report/page/tree_json.rs writes. */
  function decode([name, content, recipe, layer], parent, above) {
    const marks = { recipe: recipe ?? above.recipe, layer: layer ?? above.layer };
    if (!Array.isArray(content)) {
      const isMany = typeof name === "number";
      return { ...leaf(isMany ? null : name, content, isMany ? name : 1, marks.recipe, marks.layer), parent };
    }
    const node = directory(name, parent);
    for (const child of content) node.children.push(decode(child, node, marks));
    return node;
  }

  /** Adds up what directories hold, and puts together what is too small to stand alone. */
  function finish(node) {
    if (!node.children) return node;
    const others = leaf(null, 0, 0);
    const children = [];
    for (const child of node.children) {
      finish(child);
      node.more += child.more;
      node.less += child.less;
      node.files += child.files;
      if (child.others) {
        others.more += child.more;
        others.less += child.less;
        others.files += child.files;
      } else {
        children.push(child);
      }
    }
    if (others.files > 0) children.push({ ...others, parent: node });
    node.children = children.sort((a, b) => area(b) - area(a) || (a.name < b.name ? -1 : 1));
    return node;
  }

  /** The same files below what they have in common: a recipe, a layer. */
  function grouped(tree, title, names, number) {
    const root = directory(title, null);
    const groups = new Map();
    const visit = (node, path) => {
      if (node.children) {
        for (const child of node.children) visit(child, child.children ? [...path, child.name] : path);
        return;
      }
      const group = number(node);
      if (!groups.has(group)) {
        const made = directory(names[group] ?? String(group), root);
        groups.set(group, { node: made, below: new Map() });
        root.children.push(made);
      }
      const { node: top, below } = groups.get(group);
      let at = top;
      let key = "";
      for (const name of path) {
        key += SEPARATOR + name;
        if (!below.has(key)) {
          const made = directory(name, at);
          below.set(key, made);
          at.children.push(made);
        }
        at = below.get(key);
      }
      at.children.push({ ...node, parent: at });
    };
    visit(tree, []);
    return root;
  }

  function label(node) {
    if (node.others) return node.files === 1 ? "1 small file" : `${node.files.toLocaleString("en")} small files`;
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
    return rest.length === 0 ? root.name : start + rest.map((at) => (at.others ? label(at) : at.name)).join(SEPARATOR);
  }

  // Places. Rectangles as near to squares as may be (Bruls, Huizing, van Wijk 2000).

  function squarify(nodes, place) {
    const whole = nodes.reduce((sum, node) => sum + area(node), 0);
    const scale = whole > 0 ? (place.width * place.height) / whole : 0;
    const free = { ...place };
    const places = [];
    let at = 0;
    while (at < nodes.length) {
      const side = Math.min(free.width, free.height);
      let end = at + 1;
      let sum = area(nodes[at]) * scale;
      let worst = worstOf(sum, sum, sum, side);
      while (end < nodes.length) {
        const next = area(nodes[end]) * scale;
        const widened = worstOf(sum + next, area(nodes[at]) * scale, next, side);
        if (widened > worst) break;
        sum += next;
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
      const tree = () => decode(source.tree, null, { recipe: 0, layer: 0 });
      this.views = [
        { name: "Directory", make: tree },
        {
          name: "Recipe",
          make: () => grouped(tree(), "All recipes", this.recipes, (node) => node.recipe),
          isThere: this.recipes.length > 0,
        },
        {
          name: "Layer",
          make: () => grouped(tree(), "All layers", this.layers, (node) => node.layer),
          isThere: this.layers.length > 0,
        },
      ].filter((view) => view.isThere !== false);
      this.build();
      this.show(this.views[0]);
    }

    build() {
      const name = this.figure.getAttribute("aria-label");
      this.buttons = element("div", { class: "views", role: "group", "aria-label": "Sizes by" });
      for (const view of this.views) {
        view.button = element("button", { type: "button" }, view.name);
        view.button.addEventListener("click", () => this.show(view));
        this.buttons.append(view.button);
      }
      this.crumbs = element("nav", { class: "crumbs", "aria-label": `Where in ${name}` });
      this.map = element("div", { class: "tilesmap", role: "group", "aria-label": name });
      this.told = element("p", { class: "told", role: "status" });
      this.table = element("div", { class: "entries", tabindex: "0", role: "group", "aria-label": `Table of ${name}` });
      this.figure.replaceChildren(...(this.views.length > 1 ? [this.buttons] : []), this.crumbs, this.map, this.told, this.table);
      this.map.addEventListener("click", (event) => this.choose(this.nodeOf(event.target)));
      this.map.addEventListener("mouseover", (event) => this.tell(this.nodeOf(event.target)));
      this.map.addEventListener("focusin", (event) => this.tell(this.nodeOf(event.target)));
      this.map.addEventListener("keydown", (event) => this.press(event));
      let width = 0;
      new ResizeObserver(() => {
        if (this.map.clientWidth === width) return;
        width = this.map.clientWidth;
        this.draw();
      }).observe(this.map);
    }

    nodeOf(target) {
      const tile = target.closest?.(".tile");
      return tile ? this.nodes.get(tile) : undefined;
    }

    show(view) {
      view.tree ??= finish(view.make());
      for (const other of this.views) other.button.setAttribute("aria-pressed", String(other === view));
      this.figure.dataset.view = view.name.toLowerCase();
      this.figure.dataset.total = String(area(view.tree));
      this.open(view.tree);
    }

    open(node) {
      this.node = node;
      this.draw();
      this.tell(null);
      const nodes = way(node);
      const steps = nodes.flatMap((at, number) => {
        const slash = number > 0 && nodes[number - 1].name !== SEPARATOR ? [element("span", {}, SEPARATOR)] : [];
        if (at === node) return [...slash, element("b", { "aria-current": "location" }, at.name)];
        const button = element("button", { type: "button" }, at.name);
        button.addEventListener("click", () => this.reopen(at));
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
      if (node.children) parts.push(node.files === 1 ? "1 file" : `${node.files.toLocaleString("en")} files`);
      else if (!node.others) {
        if (this.recipes[node.recipe]) parts.push(`recipe ${this.recipes[node.recipe]}`);
        if (this.layers.length > 1) parts.push(`layer ${this.layers[node.layer]}`);
      }
      this.told.textContent = parts.join(" · ");
    }

    draw() {
      const width = this.map.clientWidth;
      const height = this.map.clientHeight;
      if (!this.node || width === 0) return;
      const had = this.map.contains(document.activeElement);
      const whole = { x: 0, y: 0, width, height };
      this.nodes = new Map();
      this.drawn = new Map();
      const made = document.createDocumentFragment();
      // What is above comes first, so that where there are too many the smallest are left out.
      const open = [{ node: this.node, room: whole, depth: 0, hue: null }];
      let hues = 0;
      const nextHue = () => {
        if (hues % HUES === NEUTRAL) hues += 1;
        return hues++ % HUES;
      };
      for (const { node, room, depth, hue } of open) {
        const places = squarify(node.children, room);
        node.children.forEach((child, at) => {
          const place = places[at];
          if (place.width < LEAST.side || place.height < LEAST.side || this.nodes.size >= MOST) return;
          const opens =
            child.children && depth + 1 < DEPTH && place.width >= LEAST.inside.width && place.height >= LEAST.inside.height;
          const isDominant = hue === null && opens && area(child) > DOMINANT * area(this.node);
          const its = hue ?? (isDominant ? NEUTRAL : nextHue());
          made.append(this.tile(child, place, whole, its, depth, opens));
          if (!opens) return;
          const inside = { x: place.x + 3, y: place.y + HEADER, width: place.width - 6, height: place.height - HEADER - 3 };
          open.push({ node: child, room: inside, depth: depth + 1, hue: isDominant ? null : its });
        });
      }
      this.map.replaceChildren(made);
      const first = this.map.querySelector(".tile");
      if (first) first.tabIndex = 0;
      if (had) first?.focus({ preventScroll: true });
      this.tabulate();
    }

    tile(node, place, whole, hue, depth, opens) {
      const colour = this.isChange ? (node.more >= node.less ? "more" : "less") : `c${hue}`;
      const classes = ["tile", colour, `d${depth}`];
      if (node.others) classes.push("many");
      const hasLabel = place.width >= LEAST.label && place.height >= LEAST.line;
      if (!hasLabel) classes.push("bare");
      else if (opens || place.height < 2 * LEAST.line + 6) classes.push("row");
      this.drawn.set(node, hasLabel);
      const made = element("button", { type: "button", class: classes.join(" "), tabindex: "-1" });
      made.setAttribute("aria-label", `${label(node)}, ${this.figureOf(node)}`);
      if (hasLabel) made.append(element("span", {}, label(node)));
      if (hasLabel && place.width >= LEAST.figure) made.append(element("span", {}, this.figureOf(node)));
      const percent = (value, of) => `${((value / of) * 100).toFixed(3)}%`;
      made.style.left = percent(place.x, whole.width);
      made.style.top = percent(place.y, whole.height);
      made.style.width = percent(place.width, whole.width);
      made.style.height = percent(place.height, whole.height);
      this.nodes.set(made, node);
      return made;
    }

    /** All that the picture shows, as a table. */
    tabulate() {
      const headings = this.isChange
        ? ["Name", "In all", "Grew", "Shrank", "Files"]
        : ["Name", "Size", "Share", "Files"];
      const row = (node, depth) => {
        const name = element("td", { class: "name" });
        if (node.children) {
          const button = element("button", { type: "button" }, element("code", {}, label(node)));
          button.addEventListener("click", () => this.open(node));
          name.append(button);
        } else {
          name.append(element("code", {}, label(node)));
        }
        const figures = this.isChange
          ? [signed(node.more - node.less), bytes(node.more), bytes(node.less)]
          : [bytes(node.more), share(node.more, area(this.node))];
        const cells = [...figures, node.files.toLocaleString("en")].map((text) => element("td", { class: "n" }, text));
        return element("tr", { class: `d${depth}` }, name, ...cells);
      };
      const body = element("tbody");
      let rows = 0;
      let left = 0;
      const add = (nodes, depth) => {
        for (const node of nodes) {
          if (depth > 0 && !this.drawn.get(node)) continue;
          if (rows >= ROWS) {
            left += 1;
            continue;
          }
          body.append(row(node, depth));
          rows += 1;
          if (depth + 1 < DEPTH && node.children) add(node.children, depth + 1);
        }
      };
      add(this.node.children, 0);
      if (left > 0) {
        const text = `and ${left.toLocaleString("en")} more`;
        body.append(element("tr", {}, element("td", { colspan: String(headings.length) }, text)));
      }
      const head = element("tr", {}, ...headings.map((text, at) => element("th", at > 0 ? { scope: "col", class: "n" } : { scope: "col" }, text)));
      const caption = element("caption", {}, `${fullName(this.node)}, ${this.figureOf(this.node)}`);
      this.table.replaceChildren(element("table", {}, caption, element("thead", {}, head), body));
      this.table.scrollTop = 0;
    }
  }

  for (const figure of document.querySelectorAll("figure.treemap")) {
    const source = document.getElementById(`${figure.id}-data`);
    new Picture(figure, JSON.parse(source.textContent));
    // The table that stands in for the picture without a script says the same.
    const parent = figure.parentElement;
    for (const table of parent.querySelectorAll(":scope > .static")) table.hidden = true;
  }
  document.documentElement.dataset.ready = "true";
})();
