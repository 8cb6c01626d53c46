// A chapter whose code runs: every cell can be edited, run and reset, and shows what it did below.
import { editor } from "./editor.mjs";
import explore from "./explore.mjs";
import { Ended, Kernel, button, give, make, parts, power, progress, seconds } from "./kernel.mjs";

const EXPLORER = "application/vnd.gfbook.explorer+json";
const text = (source) => Array.isArray(source) ? source.join("") : source;

/** What a reader changed, kept by the browser, one entry a cell: nothing where it keeps none. */
const kept = {
  key: (id) => `${parts.key}#${id}`,
  get(id) { try { return localStorage.getItem(this.key(id)); } catch {} },
  set(id, code) {
    try { code === null ? localStorage.removeItem(this.key(id)) : localStorage.setItem(this.key(id), code); } catch {}
    return this.get(id);
  },
};

/** What explore.js takes for a model: it asks Python at each position, for the newest only. */
class Asked {
  constructor(ask, { name, spec, position, state }) { Object.assign(this, { ask, name, spec, position, state, heard: [] }); }
  get(name) { return this[name]; }
  set(name, value) { this[name] = value; }
  on(event, heard) { this.heard.push(heard); }
  async save_changes() {
    this.again = true;
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.again) {
        this.again = false;
        this.state = await this.ask("answer", this.name, this.position);
        this.heard.forEach((heard) => heard());
      }
    } catch {} finally { this.busy = false; } // it stays where it is when Python was stopped
  }
}

/** One output of a cell as the book shows it, or nothing. */
function drawn(output, cell) {
  const box = (kind, ...children) => make("div", { className: `output ${kind}` }, ...children);
  if (output.output_type === "stream") return box("stream", make("pre", { textContent: output.text }));
  if (output.output_type === "error") {
    const where = cell.line ? ` in line ${cell.line}` : "";
    return box("live-error",
      make("p", {}, make("strong", { textContent: output.ename }), `${where}: ${output.evalue}`),
      make("details", {}, make("summary", { textContent: "Traceback" }), make("pre", { textContent: output.traceback.join("\n") })));
  }
  const data = output.data;
  if (data[EXPLORER]) {
    const place = make("div", { className: "explorer" });
    queueMicrotask(() => explore.render({ model: new Asked(cell.ask, data[EXPLORER]), el: place }));
    return box("text_html", place);
  }
  for (const [kind, coded] of [["image/svg+xml", (svg) => `data:image/svg+xml,${encodeURIComponent(svg)}`], ["image/png", (png) => `data:image/png;base64,${png}`]]) {
    if (data[kind]) return make("img", { className: "live-picture", src: coded(text(data[kind])), alt: cell.alt ?? "the plot of this cell" });
  }
  if (data["text/html"]) return Object.assign(box("text_html"), { innerHTML: text(data["text/html"]) });
  if (data["text/latex"]) {
    const place = box("text_latex math", text(data["text/latex"]).replace(/^\$\$?([^]*?)\$?\$$/, "\\[$1\\]"));
    queueMicrotask(() => window.MathJax?.typesetPromise?.([place]));
    return place;
  }
  return data["text/plain"] ? box("text_plain", make("pre", { textContent: text(data["text/plain"]) })) : null;
}

/** Show what a cell did: pictures in their figures, figures of checks in their folds, numbers in the text. */
function show(cell, { outputs, line }, pasted) {
  cell.line = line;
  const rest = [];
  for (const output of outputs) {
    const { scrapbook, claim } = output.metadata ?? {};
    if (scrapbook) {
      const value = text(output.data[`${scrapbook.mime_prefix}text/plain`] ?? "").replace(/^'(.*)'$/, "$1");
      for (const place of pasted.get(scrapbook.name) ?? []) {
        place.classList.toggle("live-changed", place.textContent !== value);
        place.textContent = value;
      }
      if (scrapbook.mime_prefix) continue;
    }
    if (claim && cell.fold) {
      const place = [...cell.fold.querySelectorAll(".residual")].find((p) => p.querySelector("code").textContent === claim.id);
      const said = `residual ${power(claim.residual)}, tolerance ${power(claim.tol)}`;
      place?.replaceChildren(make("code", { textContent: claim.id }), ` ${said}${claim.altered === null ? "" : `, ${power(claim.altered)} when altered`}, here`);
      continue;
    }
    const made = drawn(output, cell);
    if (made) rest.push(made);
  }
  const picture = rest.findIndex((made) => made.className === "live-picture");
  cell.output.replaceChildren(...cell.first);
  const figure = cell.output.querySelector("figure");
  for (const node of cell.first) if (![cell.fold, figure].some((stays) => stays && node.contains(stays))) node.remove();
  if (figure) {
    const old = figure.querySelector("img");
    cell.image ??= old;
    if (picture >= 0) old.replaceWith(rest.splice(picture, 1)[0]);
  }
  cell.output.append(...rest);
  if (cell.fold && outputs.some((o) => o.output_type === "error")) cell.fold.open = true;
}

/** Make the cells of the page live, and say in a box below its title what goes on. */
export async function start(box) {
  const { bar, words, told } = progress();
  const notebook = await (await fetch(`${parts.scripts}${parts.notebook}`)).json();
  box.replaceChildren(words, bar);

  const roles = notebook.cells.filter((c) => c.cell_type === "markdown").flatMap((c) => [...text(c.source).matchAll(/\{glue:text\}`([^`:]+)[^`]*`/g)].map((m) => m[1]));
  const places = [...document.querySelectorAll("article .pasted-text")], pasted = new Map();
  if (places.length === roles.length) roles.forEach((name, i) => pasted.set(name, [...pasted.get(name) ?? [], places[i]]));
  const written = new Map(places.map((place) => [place, place.textContent]));

  let kernel = null, starting = null, running = null, recalled = 0, log = []; // what ran in this Python, in turn
  const state = (now) => { document.documentElement.dataset.live = now; };
  const ask = (...request) => kernel ? kernel.ask(...request) : Promise.reject(new Ended("Python was stopped"));
  const cells = notebook.cells.filter((c) => c.cell_type === "code").map((source) => {
    const element = document.querySelector(`div.cell.tag_id-${CSS.escape(source.id)}`);
    return { id: source.id, original: text(source.source), element, ask, code: text(source.source), ran: null, order: 0, due: false };
  });
  // What is below a cell, and its names, are `of` some code, `from` that of all cells at that time.
  const begin = cells.map((cell) => cell.original);
  for (const cell of cells) Object.assign(cell, { of: cell.original, from: begin, uses: [], used: null });
  /** Learn which cells each has names from, as they ran last. */
  const learn = async () => {
    const uses = await ask("uses", cells.map((cell) => cell.of));
    for (const [n, cell] of cells.entries()) {
      cell.uses = uses[n];
      cell.used ??= uses[n];
    }
  };
  /** Whether a cell was run, or made for the book, with another code of one above that it uses. */
  const old = (cell) => cell.code === cell.of && [...cell.uses, ...cell.used ?? []].some((n) => cells[n].of !== cell.from[n]);

  /** Start Python, if it does not run. */
  const up = () => starting ??= (async () => {
    bar.hidden = false;
    kernel = new Kernel({ told, lost: down });
    const began = performance.now();
    await kernel.ask("ready");
    bar.hidden = true;
    state("ready");
    words.textContent = `Python runs in this page. It was ready after ${seconds((performance.now() - began) / 1e3)}.`;
  })();
  /** End Python; what was changed is kept, what was calculated is not. */
  const down = (why) => {
    if (running) Object.assign(running, { last: running.code, done: "stopped", failed: true });
    recalled++;
    kernel?.end();
    kernel = starting = running = null;
    log = [];
    bar.hidden = true;
    for (const cell of cells) cell.ran = null;
    drop(cells);
    state("stopped");
    words.textContent = `${why} What you changed is kept; run a cell and Python starts anew.`;
  };
  /** Hide a button of a cell, or show it; the focus that it has goes to the one before. */
  const hide = (cell, press, hidden) => {
    if (hidden && press === document.activeElement) cell.go.focus();
    press.hidden = hidden;
  };
  const marks = () => {
    for (const cell of cells) {
      if (!cell.element) continue;
      const now = cell === running, due = now || cell.due;
      cell.element.classList.toggle("live-running", now);
      cell.element.classList.toggle("live-due", due);
      hide(cell, cell.reset, !due && as(cell));
      hide(cell, cell.halt, !now);
      const before = cell.order ? "changed since it ran" : cell.code === cell.original ? "" : "changed";
      const other = cell.other ? "changed in another tab; undo brings back what was here" : cell.done && cell.last === cell.code ? cell.done : before;
      const late = !due && !cell.failed && !cell.other && (cell.order || cell.first.length) && old(cell);
      cell.element.classList.toggle("live-old", late);
      const said = now ? "running …" : due ? "queued" : late ? "made before a change above" : other;
      if (cell.state.textContent !== said) cell.state.textContent = said; // or each page with many cells is laid out anew
    }
    stop.disabled = !kernel;
    again.disabled = !running && cells.every((cell) => !cell.due && as(cell));
  };
  /** Whether a cell is as in the book, with what is below it. */
  const as = (cell) => cell.code === cell.original && !cell.done;
  /** Let cells wait to be run: an error of theirs is of a run before. */
  const wait = (some) => {
    for (const cell of some) {
      cell.due = true;
      if (!cell.element) continue;
      cell.output.querySelectorAll(".live-error").forEach((error) => error.remove());
      cell.editor.mark(0);
    }
    marks();
  };
  /** Say of those that still wait that they are not run. */
  const drop = (some) => {
    for (const cell of some) if (cell.due) Object.assign(cell, { due: false, last: cell.code, done: "not run", failed: true });
    marks();
  };

  let order = 0, runs = 0, last = Promise.resolve();
  /** Run one cell; say whether it got to its end. */
  const one = async (cell) => {
    running = cell;
    cell.due = false;
    marks();
    const code = cell.code;
    log.push([cells.indexOf(cell), code]);
    const result = await kernel.ask("run", code);
    if (running !== cell) return result.ok; // it was reset meanwhile
    running = null;
    const done = result.ok ? seconds(result.seconds) : "stopped by an error";
    Object.assign(cell, { ran: result.ok ? code : null, last: code, done, failed: !result.ok, order: ++order });
    if (result.began) Object.assign(cell, { of: code, from: cells.map((each) => each.of), used: null });
    if (cell.element) {
      show(cell, result, pasted);
      cell.editor.mark(result.ok ? 0 : result.line);
    }
    marks();
    return result.ok;
  };
  /** Run what a list says when its turn comes, for cells that wait until then; the first error ends it. */
  const queue = (some, list) => {
    const asked = recalled, over = () => asked !== recalled || !some.some((cell) => cell.due);
    wait(some);
    last = last.then(async () => {
      if (over()) return; // stopped or reset meanwhile
      let chosen = [];
      state("busy");
      try {
        await up();
        if (over()) return;
        chosen = await list();
        if (over()) return;
        wait(chosen);
        for (const [number, cell] of chosen.entries()) {
          words.textContent = chosen.length > 1 ? `Running cell ${number + 1} of ${chosen.length} …` : "Running the cell …";
          const ok = await one(cell);
          if (asked !== recalled) return;
          if (!ok) {
            words.textContent = cell === chosen.at(-1) ? "The cell has an error." : "A cell before it has an error, and the rest was not run.";
            if (cell !== chosen.at(-1)) cell.element?.scrollIntoView({ block: "center" });
            return;
          }
          if (number + 1 < chosen.length && over()) return void (words.textContent = "The cell was reset, and is not run.");
        }
        words.textContent = chosen.length === 1 ? "The cell was run." : `${chosen.length} cells were run.`;
      } catch (error) {
        if (!(error instanceof Ended)) down(`Python could not go on: ${error.message}.`);
      } finally {
        if (asked === recalled) drop([...some, ...chosen]);
        await learn().then(marks, () => {}); // Python may be gone
        if (kernel) state("ready");
        document.documentElement.dataset.liveRuns = ++runs;
      }
    });
  };
  /** Run a cell, and those before it that it needs and whose names are not as in the book's order. */
  const run = (cell) => cell.due || queue([cell], async () => {
    const place = cells.indexOf(cell);
    const well = [...cells.keys()].filter((n) => cells[n].ran === cells[n].code);
    return (await kernel.ask("due", cells.map((c) => c.code), place, log, well)).map((n) => cells[n]);
  });
  const all = () => queue(cells, async () => {
    await kernel.ask("fresh");
    log = [];
    for (const cell of cells) cell.ran = null;
    return cells;
  });
  /** Put a cell back as it is in the book. */
  const back = (cell) => {
    if (cell.code !== cell.original) cell.editor.text = cell.original;
    kept.set(cell.id, null);
    cell.editor.mark(0);
    cell.output.replaceChildren(...cell.first);
    if (cell.image) cell.output.querySelector("figure img").replaceWith(cell.image);
    cell.fold?.querySelectorAll(".residual").forEach((place, i) => place.replaceChildren(...cell.residuals[i].map((node) => node.cloneNode(true))));
    if (cell === running) running = null;
    Object.assign(cell, { ran: null, done: null, failed: false, order: 0, due: false, of: cell.original, from: begin });
    marks();
  };

  for (const [number, cell] of cells.entries()) {
    const { element } = cell;
    if (!element) continue;
    const input = element.querySelector(".cell_input"), code = input.querySelector("[class*=highlight-]") ?? input.firstElementChild;
    cell.output = element.querySelector(".cell_output") ?? element.appendChild(make("div", { className: "cell_output docutils container" }));
    if (cell.output.querySelector(".explorer")) {
      const more = button("Calculate at every value", () => run(cell), { title: "runs its cell: it then asks Python, and not what was calculated when this page was built" });
      cell.output.prepend(make("div", { className: "live-row" }, more));
    }
    cell.first = [...cell.output.childNodes];
    cell.fold = cell.output.querySelector("details.check");
    cell.residuals = [...cell.fold?.querySelectorAll(".residual") ?? []].map((place) => [...place.childNodes].map((node) => node.cloneNode(true)));
    cell.alt = cell.output.querySelector("img")?.alt;
    cell.kept = kept.get(cell.id);
    cell.code = cell.kept ?? cell.original;
    cell.editor = editor({
      text: cell.code, label: `code of cell ${number + 1}`, run: () => run(cell),
      changed: () => {
        cell.code = cell.editor.text;
        cell.other = false;
        const asked = cell.code === cell.original ? null : cell.code;
        cell.kept = kept.set(cell.id, asked);
        if (cell.kept !== asked) words.textContent = "This browser does not keep what you change: download it before you leave.";
        marks();
      },
    });
    cell.state = make("span", { className: "live-words" });
    cell.reset = button("Reset", () => back(cell), { title: "as it is in the book" });
    cell.go = button("Run", () => run(cell), { title: "Shift-Enter; those that it needs are run before it" });
    cell.halt = button("Stop", () => down("Stopped."), { hidden: true });
    for (const press of [cell.go, cell.reset, cell.halt]) press.setAttribute("aria-label", `${press.textContent} cell ${number + 1}`);
    code.replaceWith(cell.editor.element);
    input.classList.add("live-input");
    input.append(make("div", { className: "live-row" }, cell.go, cell.reset, cell.state, cell.halt));
  }
  /** Take over what another tab of this page made of the cells; what was here comes back by undo. */
  const meet = () => {
    for (const cell of cells.filter(({ element }) => element)) {
      const now = kept.get(cell.id), code = now ?? cell.original;
      if (now === undefined || now === cell.kept) continue;
      cell.kept = now;
      if (code === cell.code) continue;
      cell.editor.text = code;
      cell.other = true;
    }
    marks();
  };
  for (const event of ["storage", "pageshow", "visibilitychange"]) addEventListener(event, meet);
  const stop = button("Stop", () => down("Stopped."));
  const again = button("Reset all", () => {
    const busy = running ? " Python still ends what it was about, which is not shown." : "";
    recalled++;
    for (const cell of cells) cell.element ? back(cell) : Object.assign(cell, { ran: null, due: false });
    for (const [place, said] of written) { place.textContent = said; place.classList.remove("live-changed"); }
    words.textContent = `All is as it is in the book.${busy}`;
  });
  const take = button("Download", () => {
    const copy = structuredClone(notebook);
    for (const cell of copy.cells) if (cell.cell_type === "code") cell.source = cells.find((c) => c.id === cell.id).code;
    give(parts.notebook.split("/").at(-1), JSON.stringify(copy, null, 1), "application/x-ipynb+json");
  }, { title: "the notebook as you changed it" });
  const live = make("div", { className: "live-bar" }, button("Run all", all), stop, again, take, words, bar);
  live.setAttribute("role", "region");
  live.setAttribute("aria-label", "Python in this page");
  box.replaceChildren(make("span", { className: "live-told", textContent: "Each cell below can be changed and run. Shift-Enter runs the one you are in; Escape, then Tab leaves it." }));
  document.querySelector("article").append(live);
  marks();
  await up().then(learn).catch((error) => error instanceof Ended || down(`Python could not start: ${error.message}.`));
  marks();
}
