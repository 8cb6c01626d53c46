// A chapter whose code runs: every cell can be edited, run and reset, and shows what it did below.
import { editor } from "./editor.mjs";
import explore from "./explore.mjs";
import { Ended, Kernel, button, give, make, parts, power, progress, seconds } from "./kernel.mjs";
import { Notebook } from "./states.mjs";

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
        this.state = await this.ask(this.name, this.position);
        this.heard.forEach((heard) => heard());
      }
    } catch {} finally { this.busy = false; } // the page says why
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
    const place = make("div", { className: "explorer live-asks" });
    queueMicrotask(() => explore.render({ model: new Asked(cell.ask, data[EXPLORER]), el: place }));
    const again = button("Run again", cell.run, { hidden: true });
    return box("text_html", make("div", { className: "live-row live-again" }, again), place);
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

/** Put the bars and the figures of a cell's checks back as they are in the book. */
const unchecked = (cell) => cell.claims.forEach(([place, book]) => {
  place.className = book.className;
  place.replaceChildren(...book.cloneNode(true).childNodes);
});

/** Show for each claim of a cell what its check measured, or in its bar as well that there is no such result. */
function judge(cell, outputs) {
  unchecked(cell);
  const wrong = outputs.find(({ ename }) => ename === "ClaimError")?.evalue;
  for (const place of cell.fold?.querySelectorAll(".residual") ?? []) {
    const name = place.querySelector("code"), id = name.textContent, bar = document.getElementById(`claim-${id}`);
    const claim = outputs.map(({ metadata }) => metadata?.claim).findLast((c) => c?.id === id), fails = wrong?.startsWith(`${id}: `);
    if (claim && !fails) {
      const said = `residual ${power(claim.residual)}, tolerance ${power(claim.tol).replace(".0·", "·")}`;
      place.replaceChildren(name, ` ${said}${claim.altered === null ? "" : `, ${power(claim.altered)} when altered`}, here`);
      continue;
    }
    place.replaceChildren(name, fails ? ` ${wrong.slice(id.length + 2)}, here` : " not measured here");
    bar.className = `claim claim-${fails ? "fails" : "unchecked"}`;
    bar.querySelector(".verdict").textContent = fails ? "check failed here" : "not checked here";
  }
}

/** Show what a cell did: pictures in their figures, figures of checks in their folds, numbers in the text. */
function show(cell, { outputs, line }, pasted) {
  Object.assign(cell, { line, marked: null });
  judge(cell, outputs);
  const rest = [];
  for (const output of outputs) {
    const { scrapbook, claim } = output.metadata ?? {};
    if (scrapbook) {
      const value = text(output.data[`${scrapbook.mime_prefix}text/plain`] ?? "").replace(/^'(.*)'$/, "$1");
      for (const place of pasted.get(scrapbook.name) ?? []) {
        cell.glued.add(place);
        place.classList.toggle("live-changed", place.textContent !== value);
        place.textContent = value;
      }
      if (scrapbook.mime_prefix) continue;
    }
    if (claim && cell.fold) continue;
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

  let kernel = null, starting = null, recalled = 0;
  const state = (now) => { document.documentElement.dataset.live = now; };
  const ask = (...request) => kernel ? kernel.ask(...request) : Promise.reject(new Ended("Python was stopped"));
  const book = new Notebook(notebook.cells.filter((c) => c.cell_type === "code").map((source) => {
    const element = document.querySelector(`div.cell.tag_id-${CSS.escape(source.id)}`);
    return { id: source.id, original: text(source.source), element, glued: new Set() };
  }));
  const { cells } = book;
  const well = (codes) => [...cells.keys()].filter((n) => cells[n].ran === codes[n]);
  /** Learn which cells each has names from, as they ran last, and which explorers have others since. */
  const learn = async () => {
    const uses = await ask("uses", cells.map((cell) => cell.of)), behind = [];
    for (const n of book.exploring) {
      const { from } = cells[n];
      if ((await ask("due", from, n, book.log, well(from))).length > 1) behind.push(n);
    }
    book.learn(uses, behind);
  };

  /** Start Python, if it does not run. */
  const up = (quiet) => starting ??= (async () => {
    bar.hidden = Boolean(quiet);
    kernel = new Kernel({ told: quiet ? () => {} : told, lost: down });
    const began = performance.now();
    await kernel.ask("ready");
    await kernel.ask("warm", cells.map((cell) => cell.original));
    bar.hidden = true;
    state("ready");
    if (!quiet) words.textContent = `Python runs in this page. It was ready after ${seconds((performance.now() - began) / 1e3)}.`;
  })();
  /** End Python; what was changed is kept, what was calculated is not. */
  const down = (why) => {
    recalled++;
    kernel?.end();
    kernel = starting = null;
    bar.hidden = true;
    book.lose();
    marks();
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
      const now = cell === book.running, due = now || cell.due, said = book.said(cell);
      const late = due || cell.other ? "" : book.late(cell) || (cell.lost ? book.said(cell) : "");
      const marked = JSON.stringify([now, due, said, late, cell.lost, book.as(cell)]);
      if (marked === cell.marked) continue; // or each page with many cells is laid out anew
      cell.marked = marked;
      cell.element.classList.toggle("live-running", now);
      cell.element.classList.toggle("live-due", due);
      cell.element.classList.toggle("live-old", Boolean(late));
      cell.output.dataset.late = late;
      for (const place of cell.output.querySelectorAll(".live-asks")) place.inert = cell.lost;
      for (const press of cell.output.querySelectorAll(".live-again > button")) press.hidden = !late;
      hide(cell, cell.reset, !due && book.as(cell));
      hide(cell, cell.halt, !now);
      cell.state.textContent = said;
    }
    stop.disabled = !kernel;
    again.disabled = !book.running && !book.foreign && cells.every((cell) => !cell.due && book.as(cell));
  };
  /** Let cells wait to be run: an error of theirs is of a run before. */
  const wait = (some) => {
    book.wait(some);
    for (const cell of some) {
      if (!cell.element) continue;
      cell.output.querySelectorAll(".live-error").forEach((error) => error.remove());
      cell.editor.mark(0);
    }
    marks();
  };

  let runs = 0, last = Promise.resolve();
  /** Run one cell; say whether it got to its end. */
  const one = async (cell) => {
    book.begin(cell);
    marks();
    const result = await kernel.ask("run", cell.code);
    book.end(cell, result, result.outputs.some(({ data }) => data?.[EXPLORER]));
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
    book.ask(some);
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
        if (asked === recalled) book.drop([...some, ...chosen]);
        await learn().then(marks, () => {}); // Python may be gone
        if (kernel) state("ready");
        document.documentElement.dataset.liveRuns = ++runs;
      }
    });
  };
  /** Start Python before a reader runs a cell. */
  const begin = async (quiet) => {
    try {
      await up(quiet);
      await learn();
      marks();
    } catch (error) {
      if (!(error instanceof Ended)) down(`Python could not start: ${error.message}.`);
    }
  };
  /** Run a cell, and those before it that it needs and whose names are not as in the book's order. */
  const run = (cell) => cell.due || queue([cell], async () => {
    const codes = cells.map((c) => c.code);
    return (await kernel.ask("begin", codes, cells.indexOf(cell), book.log, well(codes))).map((n) => cells[n]);
  });
  const all = () => queue(cells, async () => {
    await kernel.ask("fresh");
    book.fresh();
    return cells;
  });
  /** Put a cell back as it is in the book. */
  const back = (cell) => {
    book.back(cell);
    for (const place of cell.glued) {
      place.textContent = written.get(place);
      place.classList.remove("live-changed");
    }
    if (!cell.element) return;
    if (cell.editor.text !== cell.original) cell.editor.text = cell.original;
    kept.set(cell.id, null);
    cell.editor.mark(0);
    cell.output.replaceChildren(...cell.first);
    if (cell.image) cell.output.querySelector("figure img").replaceWith(cell.image);
    unchecked(cell);
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
    cell.bare = !cell.first.length;
    cell.fold = cell.output.querySelector("details.check");
    cell.claims = [...cell.fold?.querySelectorAll(".claim, .residual") ?? []].map((place) => [place, place.cloneNode(true)]);
    cell.alt = cell.output.querySelector("img")?.alt;
    cell.kept = kept.get(cell.id);
    book.edit(cell, cell.kept ?? cell.original);
    cell.run = () => run(cell);
    cell.ask = async (...given) => {
      try {
        const answer = await ask("answer", ...given);
        book.answered(cell);
        return answer;
      } catch (error) {
        if (!(error instanceof Ended)) words.textContent = `The explorer has no answer there: ${error.message}.`;
        throw error;
      }
    };
    cell.editor = editor({
      text: cell.code, label: `code of cell ${number + 1}`, run: () => run(cell),
      changed: () => {
        book.edit(cell, cell.editor.text);
        const asked = cell.code === cell.original ? null : cell.code;
        cell.kept = kept.set(cell.id, asked);
        if (cell.kept !== asked) words.textContent = "This browser does not keep what you change: download it before you leave.";
        marks();
      },
    });
    cell.state = make("span", { className: "live-words" });
    cell.reset = button("Reset", () => {
      if (cell === book.running) down("Stopped.");
      back(cell);
      marks();
    }, { title: "as it is in the book" });
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
    const anew = kernel && (book.running || book.foreign); // nobody knows what became of Python
    if (anew) down("");
    recalled++;
    cells.forEach(back);
    marks();
    words.textContent = "All is as it is in the book.";
    if (anew) begin(true);
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
  await begin();
}
