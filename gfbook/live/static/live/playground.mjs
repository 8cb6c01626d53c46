// The playground: a form, what Python gives for the values in it, and what can be taken away. The
// address has the whole state: a preset, or each field that is not as it was at first.
import explore from "./explore.mjs";
import { Ended, Kernel, button, give, make, parts, progress, seconds } from "./kernel.mjs";

const WAIT = 300; // milliseconds after a key, before Python is asked
const LONGEST = 4000; // characters of an address: what mails and chats leave whole
const { fields, presets } = JSON.parse(document.getElementById("play-data").textContent);
const first = Object.fromEntries(fields.map(({ id, value }) => [id, value]));

/** Which fields there are for some values. */
const there = (values) => fields.filter(({ when }) => Object.entries(when ?? {}).every(([id, some]) => some.includes(values[id])));
/** The values of these alone. */
const given = (values) => Object.fromEntries(there(values).map(({ id }) => [id, values[id]]));
/** Rows, each on a line; what has lines and semicolons as well may mean two things, and stays. */
const lined = (text) => /\n/.test(text) && /;[^\S\n]*[^\s;]/.test(text) ? text : text.replace(/^[^\S\t]+|\s+$/g, "").split(/[^\S\t]*[\n;]+[^\S\t]*/).join("\n");
/** The same on one line, for an address; where each row has brackets, lines are blanks. */
const flat = (text) => /\]\s*[,;]?\s*\[/.test(text) ? text.replace(/\s+/g, " ") : lined(text).replaceAll("\n", ";");
const same = (a, b) => JSON.stringify(given(a)) === JSON.stringify(given(b));
const of = (preset) => ({ ...first, ...preset.state });

/** Rows of two numbers with a comma between might be taken for decimals: in an address there is none. */
const plain = (rows) => /^[+-]?\d*,\d+(;[+-]?\d*,\d+)*$/.test(rows) ? rows.replaceAll(",", " ") : rows;

/** What an address asks for: a preset, or values; those too long for it are with the tab. What is amiss is said. */
function asked() {
  try { if (!location.hash) return { values: { ...first, ...JSON.parse(sessionStorage.getItem(parts.key) ?? "") } }; } catch {}
  const hash = location.hash.slice(1), preset = presets.find(({ id }) => hash === `preset-${id}`);
  if (preset) return { values: of(preset) };
  if (!hash || document.getElementById(hash)) return null; // a place of the page
  if (hash.startsWith("preset-")) return { values: of(presets[0]), amiss: `The address asks for the example “${hash.slice(7, 37)}”, which is none of those here: this is the first.` };
  const pairs = [...new URLSearchParams(hash)], ids = pairs.map(([id]) => id), choices = (id) => fields.find((field) => field.id === id)?.options;
  const odd = ([id, value]) => choices(id) && !Object.hasOwn(choices(id), value), known = pairs.filter((pair) => Object.hasOwn(first, pair[0]) && !odd(pair));
  const label = (id) => fields.find((field) => field.id === id).label;
  const other = pairs.filter(odd).map(([id, value]) => `The address has “${value.slice(0, 30)}” for “${label(id)}”, which is one of: ${Object.values(choices(id)).join("; ")}.`);
  const amiss = [...new Set(ids)].map((id) => !Object.hasOwn(first, id) ? `The address has “${id.slice(0, 30)}”, which is no field here.` : ids.indexOf(id) < ids.lastIndexOf(id) ? `The address has “${id}” more than once: the last one counts.` : "");
  return { values: known.length ? { ...first, ...Object.fromEntries(known) } : of(presets[0]), amiss: [...other, ...amiss].join(" ").trim() };
}

/** The address of some values. */
function address(values) {
  const preset = presets.find((each) => same(of(each), values));
  if (preset) return `#preset-${preset.id}`;
  const every = Object.entries(given(values)), own = every.filter(([id, value]) => value !== first[id]);
  const short = (own.length ? own : every.slice(0, 1)).map(([id, value]) => [id, lined(value).includes(";") ? value : plain(flat(value).replace(/,\s+/g, ","))]);
  return `#${new URLSearchParams(short)}`.replaceAll("%2C", ",").replaceAll("%3B", ";");
}

/** One field with its label, its help and a place for what is wrong with it. */
function row(field, set) {
  const { id, label, kind, options, fill, help } = field, name = `play-${id}`;
  const input = kind === "choice"
    ? make("select", { id: name }, ...Object.entries(options).map(([value, said]) => make("option", { value, textContent: said })))
    : make(kind === "matrix" ? "textarea" : "input", { id: name, spellcheck: false, autocomplete: "off", ...(kind === "matrix" ? { rows: 2 } : { type: "text" }) });
  const wrong = make("p", { id: `${name}-wrong`, className: "play-wrong", hidden: true });
  const told = make("p", { id: `${name}-help`, className: "play-help", textContent: help ?? "", hidden: !help });
  input.setAttribute("aria-describedby", `${wrong.id} ${told.id}`);
  input.addEventListener(kind === "choice" ? "change" : "input", () => set(id, input.value));
  const element = make("div", { className: "play-field" }, make("label", { htmlFor: name, textContent: label }));
  if (fill) {
    const choose = make("select", { className: "play-fill" }, make("option", { value: "", textContent: "one of this book's …" }), ...Object.keys(fill).map((said) => make("option", { textContent: said })));
    choose.setAttribute("aria-label", `${label}: one of this book's`);
    choose.addEventListener("change", () => { if (choose.value) set(id, fill[choose.value], true); choose.selectedIndex = 0; });
    element.append(choose);
  }
  element.append(input, wrong, told);
  return {
    id, element,
    get shown() { return !element.hidden; },
    put(value, now) {
      const text = kind === "matrix" ? lined(value) : value;
      if (now || input !== document.activeElement) input.value = text;
      if (kind === "matrix") input.rows = Math.min(8, Math.max(2, text.split("\n").length));
    },
    fault(said) {
      wrong.textContent = said ?? "";
      wrong.hidden = !said;
      said ? input.setAttribute("aria-invalid", "true") : input.removeAttribute("aria-invalid");
    },
  };
}

/** What explore.js takes for a model: a picture that changes, without controls. */
class Picture {
  constructor(shown) { this.heard = []; this.take(shown); }
  take({ spec, state }) { Object.assign(this, { spec, state }); this.heard.forEach((heard) => heard()); }
  get(name) { return name === "position" ? [] : this[name]; }
  set() {}
  save_changes() {}
  on(event, heard) { this.heard.push(heard); }
}

/** The pictures: one is drawn anew only where more than its numbers changed. */
function pictures(place) {
  const there = new Map();
  return (panels) => {
    for (const [name, { element, end }] of there) {
      if (!panels.some(({ spec }) => spec.name === name)) { end(); element.remove(); there.delete(name); }
    }
    for (const shown of panels) {
      const { name } = shown.spec, kind = JSON.stringify(shown.spec), known = there.get(name);
      if (known?.kind === kind) { known.model.take(shown); continue; }
      const log = known?.el.querySelector("input[type=checkbox]")?.checked;
      known?.end();
      const el = known?.el ?? make("div", { className: "explorer" });
      const element = known?.element ?? make("section", {}, make("h2", { textContent: name }), el);
      const model = new Picture(shown), end = explore.render({ model, el });
      if (log === false) el.querySelector("input[type=checkbox]")?.click();
      there.set(name, { kind, model, el, element, end });
    }
    const order = panels.map(({ spec }) => there.get(spec.name).element);
    if (order.some((element, i) => place.children[i] !== element)) place.replaceChildren(...order);
  };
}

/** Put the form and what it gives into the page, and say in a box below its title what goes on. */
export async function start(box) {
  const { bar, words, told } = progress();
  box.replaceChildren(words, bar);
  const state = (now) => { document.documentElement.dataset.live = now; };
  const source = await (await fetch(`${parts.scripts}playground.py`)).text();

  let { values, amiss = "" } = asked() ?? { values: of(presets[0]) }, shown = null, judged = null, kernel = null, due = null, busy = false, later = 0, runs = 0, code = "";
  const general = make("p", { className: "play-wrong", hidden: true });
  general.setAttribute("role", "alert");
  const rows = fields.map((field) => row(field, (id, value, now) => {
    values = { ...values, [id]: value };
    amiss = "";
    due = given(values);
    form();
    keep();
    clearTimeout(later);
    later = setTimeout(run, now ? 0 : WAIT);
  }));
  const long = make("p", { className: "play-help", hidden: true, textContent: "These values are too long for an address: this tab has them, and who is given its address does not. Take the Python away, which has them too." });
  long.setAttribute("role", "status");
  const odd = make("p", { className: "play-wrong", hidden: true });
  odd.setAttribute("role", "status");
  /** Put what is typed into the address, or beside it where it is too long. */
  const keep = () => {
    history.replaceState(null, "", long.hidden ? address(values) : location.pathname + location.search);
    try { long.hidden ? sessionStorage.removeItem(parts.key) : sessionStorage.setItem(parts.key, JSON.stringify(values)); } catch {}
  };
  const choose = make("select", { id: "play-preset" }, make("option", { value: "", textContent: "your own" }), ...presets.map(({ id, title }) => make("option", { value: id, textContent: title })));
  choose.addEventListener("change", () => { // to go there would take the focus away
    const preset = presets.find(({ id }) => id === choose.value);
    if (!preset) return;
    history.pushState(null, "", `#preset-${preset.id}`);
    enter({ values: of(preset) });
  });

  const said = make("div", { className: "play-said" });
  said.setAttribute("aria-live", "polite");
  const before = make("p", { className: "play-before", textContent: "This is of the values before, not of those in the form.", hidden: true });
  before.setAttribute("role", "status");
  const table = make("tbody"), boards = make("div", { className: "play-boards" }), draw = pictures(boards);
  // The theme takes a pre out of the order of Tab while it need not be scrolled; this may be later.
  const listing = make("pre"), scrolled = make("div", { className: "play-code", tabIndex: 0 }, listing);
  scrolled.setAttribute("role", "region");
  scrolled.setAttribute("aria-label", "The lines of Python");
  const take = (name, what, type) => button(`Download ${what.toUpperCase()}`, async () => {
    try { give(name, await kernel.ask("take", what), type); } catch (error) { down(`That could not be made: ${error.message}.`); }
  }, { disabled: true });
  const taken = [
    button("Download Python", () => give("playground.py", code, "text/x-python"), { disabled: true }),
    take("playground.csv", "csv", "text/csv"),
    take("playground.svg", "svg", "image/svg+xml"),
  ];
  const stop = button("Stop", () => down("Stopped. Change a value, and Python starts anew."), { disabled: true });

  /** Show the fields that there are, with their values, and what is to be said of these. */
  const form = (all) => {
    long.hidden = address(values).length <= LONGEST;
    odd.textContent = amiss;
    odd.hidden = !amiss;
    const now = new Set(there(values).map(({ id }) => id));
    for (const each of rows) { each.element.hidden = !now.has(each.id); each.put(values[each.id], all); }
    choose.value = presets.find((each) => same(of(each), values))?.id ?? "";
    mark();
  };
  /** Mark what is shown, and what is told of a value, where that is not of what is typed now. */
  const mark = () => {
    const other = !!shown && !same(shown, values);
    output.classList.toggle("play-old", other);
    sides.classList.toggle("play-asks", !!judged && !same(judged, values));
    before.hidden = !other || busy || !!due;
    taken.forEach((each, asks) => { each.disabled = !shown || other || asks && (!kernel || busy); });
  };
  const down = (why) => {
    clearTimeout(later);
    kernel?.end();
    kernel = due = null;
    bar.hidden = stop.disabled = true;
    state("stopped");
    words.textContent = why;
    mark();
  };
  const up = async () => {
    Object.assign(bar, { hidden: false, max: 1, value: 0 });
    kernel = new Kernel({ told, lost: (why) => down(`${why} Change a value, and it starts anew.`) });
    stop.disabled = false;
    await kernel.ask("ready");
    await kernel.ask("play", source);
    bar.hidden = true;
  };
  const show = (result, now) => {
    judged = now;
    rows.forEach((each) => each.fault(each.id === result.field ? result.error : null));
    const elsewhere = result.error && !result.field;
    general.textContent = elsewhere ? result.error : "";
    general.hidden = !elsewhere;
    if (result.error) return;
    shown = now;
    said.replaceChildren(...result.said.map((text) => make("p", { textContent: text })));
    table.replaceChildren(...result.rows.map(([what, value, why]) => make("tr", {}, make("th", { scope: "row", textContent: what }), make("td", { textContent: value }), make("td", { textContent: why }))));
    listing.textContent = code = result.code;
    draw(result.panels);
  };
  /** Ask Python about what the form has, and again if that changed meanwhile. */
  const run = async () => {
    clearTimeout(later);
    due = given(values);
    if (busy) return;
    busy = true;
    state("busy");
    try {
      if (!kernel) await up();
      while (due) {
        const began = performance.now(), now = due;
        due = null;
        words.textContent = "Calculating …";
        const result = await kernel.ask("show", now);
        show(result, now);
        words.textContent = result.error ? "A value does not fit." : `Calculated in this page in ${seconds((performance.now() - began) / 1e3)}.`;
      }
      state("ready");
    } catch (error) {
      if (!(error instanceof Ended)) down(`Python could not go on: ${error.message}.`);
    } finally {
      busy = false;
      mark();
      document.documentElement.dataset.liveRuns = ++runs;
    }
  };

  const enter = (now) => {
    ({ values, amiss = "" } = now);
    form(true);
    run();
  };
  const output = make("div", { className: "play-output" }, before, said, boards,
    make("h2", { textContent: "Rates" }),
    make("div", { className: "play-table" }, make("table", {}, make("thead", {}, make("tr", {}, ...["Rate", "Value", "From"].map((name) => make("th", { scope: "col", textContent: name })))), table)),
    make("h2", { textContent: "Take it away" }),
    make("div", { className: "live-row" }, ...taken), scrolled);
  const sides = make("form", { className: "play-form" },
    make("div", { className: "play-field" }, make("label", { htmlFor: choose.id, textContent: "Example" }), choose), odd, ...rows.map(({ element }) => element), general, long,
    make("div", { className: "live-row" }, stop));
  sides.addEventListener("submit", (event) => { event.preventDefault(); run(); });
  const place = document.getElementById("play");
  place.replaceChildren(sides, output);
  document.documentElement.dataset.liveWide = "play";
  addEventListener("popstate", () => { // and whenever the hash changes
    const now = asked();
    if (!now) return;
    requestAnimationFrame(() => place.scrollIntoView()); // after the browser went to what the hash names
    enter(now);
  });
  form();
  await run();
}
