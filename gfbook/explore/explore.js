// One front end for two hosts. In a kernel anywidget calls render() with its model; on a page of
// the book, which has no kernel, this file mounts every explorer with a model of its own that
// answers from the values of build time. No mathematics is done here.

const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLE);

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const STILL = matchMedia("(prefers-reduced-motion: reduce)");

/** A button that plays a slider to its end, position by position; touched by hand it stays. */
function player(input, label, playing) {
  const button = make("button", { type: "button", className: "explorer-play" });
  let timer = 0;
  const turn = (to) => {
    clearInterval(timer);
    timer = to;
    button.textContent = to ? "❚❚" : "▶";
    button.setAttribute("aria-label", `${to ? "Pause" : "Play"}: ${label}`);
    playing(Boolean(to));
  };
  const go = (value) => {
    input.value = value;
    input.dispatchEvent(new CustomEvent("input"));
  };
  const step = () => {
    if (!input.isConnected || STILL.matches) return turn(0);
    go(Math.floor(input.value) + 1);
    if (Number(input.value) >= input.max) turn(0);
  };
  button.addEventListener("click", () => {
    if (timer) return turn(0);
    if (Number(input.value) >= input.max) go(0);
    turn(setInterval(step, Math.min(400, Math.max(90, 5000 / input.max))));
  });
  input.addEventListener("input", (event) => { if (timer && event.isTrusted) turn(0); });
  button.stop = () => timer && turn(0);
  turn(0);
  return button;
}

/** The controls; calls moved(index, position) when one has been moved. */
function controls(spec, first, live, moved, playing) {
  return spec.controls.map((control, index) => {
    const id = `${spec.name}-${index}-${Math.random().toString(36).slice(2, 8)}`;
    const label = make("label", { htmlFor: id, textContent: control.label });
    if (control.kind === "choice") {
      const select = make("select", { id }, ...control.options.map((o) => make("option", { textContent: o })));
      select.selectedIndex = first[index];
      select.addEventListener("change", () => moved(index, select.selectedIndex));
      return { row: make("div", { className: "explorer-control" }, label, select), say: () => {}, set: () => {} };
    }
    const input = make("input", { id, type: "range", min: 0, max: control.positions - 1 });
    input.step = live ? 0.01 : 1;
    input.value = first[index];
    const output = make("output", { htmlFor: id });
    input.addEventListener("input", () => moved(index, Number(input.value)));
    const say = (words) => {
      output.textContent = words;
      input.setAttribute("aria-valuetext", words);
    };
    const play = STILL.matches ? [] : [player(input, control.label, playing)];
    const set = (value) => {
      play.forEach((button) => button.stop());
      input.value = value;
    };
    return { row: make("div", { className: "explorer-control" }, label, input, output, ...play), say, set };
  });
}

const dark = () => document.documentElement.dataset.theme === "dark" ||
  document.body.dataset.jpThemeLight === "false";

/** A color that shows on the page: in the dark the darker one is the lighter, as in the figures. */
function shown(color) {
  if (!dark()) return color;
  const parts = /^#(..)(..)(..)$/.exec(color);
  if (!parts) return getComputedStyle(document.body).color;
  const [r, g, b] = parts.slice(1).map((part) => parseInt(part, 16));
  const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  if (light < 8) return "#eeeeee";
  const mix = Math.max(0, (235 - 1.55 * light) / (255 - light));
  return `rgb(${[r, g, b].map((part) => Math.round(part + (255 - part) * mix)).join(",")})`;
}

const ten = (power) => `10${[...String(power)].map((sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]).join("")}`;

/** The labels of a logarithmic axis: powers of ten, only as many as the height has room for. */
function decades(u, splits) {
  const { min, max } = u.scales.y;
  const every = Math.ceil((18 * Math.log10(max / min)) / Math.max(40, u.height - 90));
  return splits.map((v) => {
    const power = v > 0 ? Math.round(Math.log10(v) * 1e6) / 1e6 : NaN;
    return power % every === 0 ? ten(power) : "";
  });
}

/** An axis of logarithms has powers of ten, and is named after what these are. */
const LOGARITHM = /^log₁₀ of /;

/** Of a logarithmic axis the places of the grid: those that have a label. */
const labelled = (u, splits) => decades(u, splits).map((label, i) => label ? splits[i] : null);

/** A line as its name shows it: with its dashes, as it is drawn. */
function sample({ color, dash }) {
  let at = 0;
  const stops = dash.map((length, i) => `${i % 2 ? "#0000" : shown(color)} ${at}px ${at += length}px`);
  return dash.length ? `repeating-linear-gradient(90deg, ${stops})` : shown(color);
}

/** The points of a line in pixels, of the frame or of the whole canvas; null where there is none. */
function places(u, index, canvas) {
  const [xs, ys] = u.data[0] ? [u.data[0], u.data[index]] : u.data[index];
  return Array.from(xs, (x, i) => x === null || ys[i] === null ? null : [u.valToPos(x, "x", canvas), u.valToPos(ys[i], "y", canvas)]);
}

/** Of a line in the plane: its points in their order, and dots at them. */
function track(line) {
  return (u, index) => {
    const { ctx, bbox } = u, scale = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.strokeStyle = ctx.fillStyle = shown(line.color);
    ctx.lineWidth = (line.dots ? 1 : 2) * scale;
    ctx.setLineDash(line.dash.map((length) => length * scale));
    const points = places(u, index, true);
    ctx.beginPath();
    points.forEach((point, i) => point && (points[i - 1] ? ctx.lineTo(...point) : ctx.moveTo(...point)));
    ctx.stroke();
    ctx.beginPath();
    if (line.dots) points.forEach((point) => point && (ctx.moveTo(...point), ctx.arc(...point, 2.5 * scale, 0, 7)));
    ctx.fill();
    ctx.fillStyle = getComputedStyle(document.body).color;
    ctx.font = `${13 * scale}px system-ui, sans-serif`;
    Object.assign(ctx, { strokeStyle: getComputedStyle(document.body).backgroundColor, lineWidth: 4 * scale, lineJoin: "round" });
    ctx.setLineDash([]);
    const named = [];
    points.forEach((point, i) => { // of those that crowd the first has its name
      if (!point || !line.points?.[i] || named.some((x) => Math.abs(point[0] - x) < 22 * scale)) return;
      for (const write of ["strokeText", "fillText"]) ctx[write](line.points[i], point[0] + 4 * scale, point[1] - 24 * scale); // on the page's color, above a ring
      named.push(point[0]);
    });
    ctx.restore();
    return null;
  };
}

const CELL = 4; // pixels: what is drawn is looked up in a grid as coarse as this

/** The places of the grid's cells that a line goes through, in their order. */
function cells(points, width, height) {
  const found = [];
  points.forEach((point, i) => {
    const from = points[i - 1] ?? point;
    if (!point) return;
    const [dx, dy] = [point[0] - from[0], point[1] - from[1]];
    const count = Math.min(400, Math.ceil(Math.hypot(dx, dy) / CELL)) || Number(i === 0);
    for (let j = 1; j <= count; j++) {
      const [x, y] = [from[0] + (dx * j) / count, from[1] + (dy * j) / count];
      if (x >= 0 && y >= 0 && x < width && y < height) found.push([x, y]);
    }
  });
  return found;
}

/** A name, with a place near its middle where it may be broken: between words, in no formula. */
function halves(name) {
  const spaces = [...name.matchAll(/(?<=[,:]) |(?<=[a-z]{2}) (?=[a-z]{2})/g)].map(({ index }) => index), middle = name.length / 2;
  if (!spaces.length || name.length < 16) return [name]; // which is short enough
  const at = spaces.reduce((a, b) => (Math.abs(b - middle) < Math.abs(a - middle) ? b : a));
  return [name.slice(0, at + 1), make("br"), name.slice(at + 1)];
}

/** The names of the lines, each beside its own: on no line, on no other name, in the frame.
 * One that finds no such place stands above, in the row of the axis, as far as that has room. */
function names(u, lines, row) {
  row.querySelectorAll(".explorer-name").forEach((label) => label.remove());
  const all = lines.flatMap((line, index) => {
    if (line.quiet) return [];
    const mark = make("i", { className: line.dots ? "dots" : "" }), label = make("span", { className: "explorer-name" }, mark, ...halves(line.name));
    mark.style.background = sample(line);
    mark.style.width = `max(1.1rem, ${line.dash.reduce((a, b) => a + b, 0)}px)`; // all its dashes once
    u.over.append(label);
    return [{ label, index, at: null }];
  });
  return () => {
    const { clientWidth: width, clientHeight: height } = u.over;
    const across = Math.ceil(width / CELL), down = Math.ceil(height / CELL), drawn = new Uint32Array(across * down);
    const ways = lines.map((_, i) => cells(places(u, i + 1), width, height));
    ways.forEach((way, i) => way.forEach(([x, y]) => { drawn[Math.floor(y / CELL) * across + Math.floor(x / CELL)] |= 1 << i; }));
    const quiet = lines.reduce((mask, line, i) => mask | (line.quiet ? 1 << i : 0), 0);
    /** How many cells that others than `own` go through a box has, made larger on all sides. */
    const covered = ([x, y, w, h], more, own) => {
      let count = 0;
      const right = Math.min(across - 1, Math.floor((x + w + more) / CELL)), low = Math.min(down - 1, Math.floor((y + h + more) / CELL));
      for (let j = Math.max(0, Math.floor((y - more) / CELL)); j <= low; j++)
        for (let i = Math.max(0, Math.floor((x - more) / CELL)); i <= right; i++) if (drawn[j * across + i] & ~own) count++;
      return count;
    };
    const taken = [...u.over.querySelectorAll(".explorer-grip:not([hidden])")].map((grip) => {
      const [x, y] = grip.style.transform.match(/-?[\d.]+/g).map(Number);
      return [x - 10, y - 10, 20, 20];
    });
    const free = ([x, y, w, h]) => x >= 2 && y >= 0 && x + w <= width - 2 && y + h <= height - 2 &&
      taken.every(([a, b, c, d]) => x > a + c + 8 || a > x + w + 8 || y > b + d || b > y + h);
    /** The best place of a name, as it is or broken in two, what it costs, and what it covers. */
    const place = (name, broken, far = 0) => {
      name.label.classList.toggle("explorer-broken", broken);
      const way = ways[name.index], { offsetWidth: w, offsetHeight: h } = name.label, own = (1 << name.index) | quiet;
      let best = null, least = Infinity, covers = Infinity;
      const every = Math.max(1, Math.floor(way.length / 60));
      for (let i = way.length - 1; i >= 0; i -= every) {
        const [x, y] = way[i];
        for (const [side, level] of [[1, 0], [0, -1], [0, 1], [1, -1], [1, 1], [-1, -1], [-1, 1], [-1, 0]]) {
          const box = [x + (side > 0 ? 7 + far : side ? -7 - far - w : -w / 2), y + (level > 0 ? 5 + far : level ? -5 - far - h : -h / 2), w, h];
          if (!free(box)) continue;
          const moved = name.at ? Math.hypot(box[0] - name.at[0], box[1] - name.at[1]) : 0;
          const hidden = covered(box, 1, 0) + (covered([x, y, 0, 0], 3, own) && 4); // where lines run together it names none
          const cost = 30 * hidden + 6 * covered(box, 5, own) + 2 * covered(box, 12, own) + 0.05 * (way.length - i) + Math.min(20, 0.2 * moved);
          if (cost < least) [best, least, covers] = [box, cost, hidden];
        }
      }
      return [best, least, covers];
    };
    // What has least room comes first.
    for (const name of all.toSorted((a, b) => ways[a.index].length - ways[b.index].length)) {
      u.over.append(name.label);
      let whole = place(name, false);
      // Of a dot it may stand a little off, rather than on a line or above the drawing.
      for (const far of lines[name.index].dots ? [12, 24, 36] : []) if (whole[2] > 3) whole = place(name, false, far);
      const halved = whole[1] > 60 ? place(name, true) : whole;
      const broken = halved[1] < whole[1], [box, , hidden] = broken ? halved : whole;
      name.label.classList.toggle("explorer-broken", broken);
      name.at = box;
      if (ways[name.index].length && hidden > 3) {
        name.label.classList.remove("explorer-broken");
        row.append(name.label);
        if (row.scrollWidth <= row.clientWidth) name.at = null;
        else u.over.append(name.label);
      }
      name.label.style.visibility = name.at || name.label.parentNode === row ? "" : "hidden";
      if (!name.at) continue;
      name.label.classList.toggle("explorer-broken", broken);
      taken.push(box);
      name.label.style.transform = `translate(${Math.round(box[0])}px, ${Math.round(box[1])}px)`;
    }
  };
}

/** Points of the drawing that one drags: each moves its sliders to where the point comes nearest. */
function grips(plot, spec, beside, model, moved) {
  const all = spec.grips.flatMap(({ controls, plane }, index) => {
    if (plane !== beside) return [];
    const grip = make("div", { className: "explorer-grip" });
    grip.setAttribute("aria-hidden", "true"); // its sliders do the same by keyboard
    const pixels = ([x, y]) => [plot.valToPos(x, "x"), plot.valToPos(y, "y")];
    const counts = controls.map((control) => spec.controls[control].positions);
    const drag = ({ clientX, clientY }) => {
      const { left, top } = plot.over.getBoundingClientRect();
      let best = 0, least = Infinity;
      model.get("state").grips[index].track.forEach((place, i) => {
        const [x, y] = pixels(place), far = Math.hypot(x - clientX + left, y - clientY + top);
        if (far < least) [best, least] = [i, far];
      });
      const found = counts.map((count, i) => {
        const inner = counts.slice(i + 1).reduce((a, b) => a * b, 1);
        return [controls[i], Math.floor(best / inner) % count];
      });
      moved(found);
    };
    grip.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      grip.setPointerCapture(event.pointerId);
    });
    grip.addEventListener("pointermove", (event) => { if (grip.hasPointerCapture(event.pointerId)) drag(event); });
    plot.over.append(grip);
    return [() => {
      const [x, y] = pixels(model.get("state").grips[index].at);
      grip.style.transform = `translate(${x}px, ${y}px)`;
      grip.hidden = !(x >= 0 && y >= 0 && x <= plot.over.clientWidth && y <= plot.over.clientHeight);
    }];
  });
  return () => all.forEach((place) => place());
}

/** Where a logarithmic axis begins: at one digit, or uPlot would step past the next power. */
function bottom(low) {
  const [digit, power] = Math.max(low || 0, 1e-15).toExponential().split("e");
  return Number(`${Math.floor(digit)}e${power}`);
}

function options(spec, size, log) {
  const ink = getComputedStyle(document.body).color;
  const grid = { stroke: dark() ? "#ffffff16" : "#00000014", width: 1 };
  const font = "14px system-ui, sans-serif";
  const plain = (v) => String(v).replace("-", "−"), power = (v) => Number.isInteger(v) ? ten(v) : "";
  const numbers = (label) => (u, splits) => splits.map((v) => (LOGARITHM.test(label) ? power : plain)(+v.toFixed(6)));
  const axis = (label, more) => ({ label: label.replace(LOGARITHM, ""), stroke: ink, grid, ticks: grid, font, labelFont: font, labelSize: label ? 24 : 0, values: numbers(label), ...more });
  const range = log ? (u, low, high) => [bottom(low), high > 0 ? high * 1.2 : 1]
    : spec.ylim ? spec.ylim
    : (u, low, high) => [low - 0.05 * (high - low), high + 0.05 * (high - low) || 1];
  const y = log ? { distr: 3, range: spec.ylim ? [Math.max(spec.ylim[0], 1e-14), spec.ylim[1]] : range } : { range };
  return {
    ...size,
    ...(spec.xlim && { mode: 2 }),
    scales: { x: { time: false, ...(spec.xlim && { range: spec.xlim }) }, y },
    axes: [axis(spec.x, { size: 36 }), axis("", { size: 52, values: numbers(spec.y), ...(log && { values: decades, filter: (u, splits) => splits, grid: { ...grid, filter: labelled }, ticks: { ...grid, filter: labelled } }) })],
    legend: { show: false },
    cursor: { show: false },
    series: [{}, ...spec.lines.map((line) => ({
      stroke: shown(line.color), dash: line.dash, width: 2, pxAlign: 0, points: { show: false }, spanGaps: false,
      ...(spec.xlim && { paths: track(line), facets: [{ scale: "x" }, { scale: "y" }] }),
    }))],
  };
}

/** One drawing of an explorer: its first, or the one in the plane beside. */
function drawing(view, spec, model, dragged) {
  const row = make("div", { className: "explorer-axis" }, make("span", { textContent: view.y.replace(LOGARITHM, "") }));
  const board = make("div", { className: "explorer-plot" }, row);
  board.setAttribute("role", "img");
  const beside = view !== spec;
  let plot = null, log = false, place = () => {};
  const size = () => {
    const width = Math.max(240, Math.floor(board.clientWidth || 600));
    const [least, most, share] = spec.plane ? [270, 300, 0.8] : view.xlim ? [300, 420, 0.62] : [250, 320, 0.55];
    return { width, height: Math.round(Math.min(most, Math.max(least, width * share))) };
  };
  const data = (state) => {
    const [x, y] = beside ? [state.plane_x, state.plane_y] : [state.x, state.y];
    return view.xlim ? [null, ...y.map((curve, i) => [x[i], curve])] : [x[0], ...y.map((curve) => log ? curve.map((v) => (v > 0 ? v : null)) : curve)];
  };
  const draw = (now) => {
    log = now && view.log;
    plot?.destroy();
    const init = (made) => {
      const parts = [grips(made, spec, beside, model, dragged), names(made, view.lines, row)];
      place = () => parts.forEach((part) => part());
    };
    board.plot = plot = new uPlot({ ...options(view, size(), log), hooks: { init: [init], draw: [() => place()] } }, data(model.get("state")), board);
  };
  const update = (state) => {
    board.setAttribute("aria-label", `${view.y} against ${view.x}. ${state.text}`);
    plot?.setData(data(state));
  };
  const resized = new ResizeObserver(() => {
    const next = size();
    if (plot) next.width !== plot.width ? plot.setSize(next) : place(); // it may have been drawn before it was shown
  });
  resized.observe(board);
  return { board, draw, update, end: () => { resized.disconnect(); plot?.destroy(); } };
}

function render({ model, el }) {
  const root = el.getRootNode();
  const target = root.adoptedStyleSheets ? root : document;
  if (!target.adoptedStyleSheets.includes(sheet)) target.adoptedStyleSheets = [...target.adoptedStyleSheets, sheet];
  const spec = model.get("spec");
  const live = !model.page;
  let log = spec.log;
  const position = [...model.get("position")];
  const moved = (changes) => {
    changes.forEach(([index, value]) => { position[index] = value; });
    model.set("position", [...position]);
    model.save_changes();
  };
  const dragged = (changes) => {
    changes.forEach(([index, value]) => rows[index].set(value));
    moved(changes);
  };
  // What is said at each position of a slider that plays would never be read to its end.
  const playing = (on) => answer.setAttribute("aria-live", on ? "off" : "polite");
  const words = make("span"), answer = make("p", { className: "explorer-answer" }, words);
  if (model.longest) answer.dataset.longest = model.longest;
  const rows = controls(spec, position, live, (index, value) => moved([[index, value]]), playing);
  playing(false);
  const form = make("div", { className: "explorer-controls" }, ...rows.map(({ row }) => row));
  const views = [spec, ...(spec.plane ? [spec.plane] : [])].map((view) => drawing(view, spec, model, dragged));
  const boards = make("div", { className: "explorer-boards" }, ...views.map(({ board }) => board));
  const draw = () => views.forEach((view) => view.draw(log));
  const update = () => {
    const state = model.get("state");
    state.said.forEach((said, index) => rows[index].say(said));
    words.textContent = state.text;
    views.forEach((view) => view.update(state));
  };
  if (spec.log) {
    const box = make("input", { type: "checkbox", checked: log });
    box.addEventListener("change", () => { log = box.checked; draw(); });
    form.append(make("label", { className: "explorer-control" }, box, " logarithmic axis"));
  }
  boards.title = live ? "Each value is calculated when you ask for it."
    : `Calculated when this page was built, at ${model.count} settings; run the chapter for any other.`;
  // JupyterLab takes the arrow keys for itself where the focused element does not say this.
  form.querySelectorAll("input, select").forEach((e) => e.setAttribute("data-lm-suppress-shortcuts", "true"));
  el.replaceChildren(form, boards, answer);
  el.classList.add("explorer-ready");
  update();
  draw();
  model.on("change:state", update);
  const themed = new MutationObserver(draw);
  themed.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return () => { themed.disconnect(); views.forEach((view) => view.end()); };
}

/** Unpack one state's curves: 16-bit steps of a range, as differences. */
function unpacker(data, name) {
  const bytes = Uint8Array.from(atob(data[name]), (c) => c.charCodeAt(0));
  const steps = new Uint16Array(bytes.buffer);
  const [states, lines, points] = data[`${name}_shape`];
  return (state) => Array.from({ length: lines }, (_, line) => {
    const at = states === 1 ? 0 : state;
    const [low, high] = data[`${name}_range`][at];
    const begin = (at * lines + line) * points;
    let step = 0;
    return Array.from({ length: points }, (_, i) => {
      step = (step + steps[begin + i]) & 65535;
      if (step === 65535) return null;
      const value = low + ((high - low) * step) / 65534;
      return data[`${name}_log`] ? 10 ** value : value;
    });
  });
}

/** What a kernel would be, from the values of build time. */
class Page {
  constructor(data) {
    this.page = true;
    this.data = data;
    this.longest = data.text.reduce((a, b) => (b.length > a.length ? b : a));
    this.counts = data.said.map((words) => words.length);
    this.count = this.counts.reduce((a, b) => a * b, 1);
    this.x = unpacker(data, "x");
    this.y = unpacker(data, "y");
    this.plane = data.spec.plane ? ["plane_x", "plane_y"].map((name) => [name, unpacker(data, name)]) : [];
    this.position = data.first;
    this.listeners = [];
  }
  get(name) {
    if (name !== "state") return name === "spec" ? this.data.spec : this.position;
    const at = (position) => position.reduce((index, p, i) => index * this.counts[i] + p, 0);
    const state = at(this.position);
    return {
      grips: this.data.spec.grips.map(({ controls }, index) => {
        const places = this.data.grips[index], track = [];
        const walk = ([control, ...rest], position) => {
          if (control === undefined) return track.push(places[at(position)]);
          for (let p = 0; p < this.counts[control]; p++) walk(rest, position.with(control, p));
        };
        walk(controls, this.position);
        return { at: places[state], track };
      }),
      x: this.x(state),
      y: this.y(state),
      ...Object.fromEntries(this.plane.map(([name, values]) => [name, values(state)])),
      text: this.data.text[state],
      said: this.position.map((p, i) => this.data.said[i][p]),
    };
  }
  set(name, value) { this.position = value; }
  save_changes() { this.listeners.forEach((listener) => listener()); }
  on(event, listener) { this.listeners.push(listener); }
}

const mount = () => document.querySelectorAll(".explorer:not(.explorer-ready)").forEach((el) => {
  const source = el.querySelector('script[type="application/json"]');
  if (source) render({ model: new Page(JSON.parse(source.textContent)), el });
});
mount();

export default { render };
