// The ledger: every check of the paper made again in the reader's browser, beside the book's own.
import { Ended, Kernel, button, give, make, parts, power, progress, root, seconds } from "./kernel.mjs";

const CHECK = /\bcheck\(\s*"([\w-]+)"/g;
const book = parts.scripts.match(/live-(\w+)/)[1];
const get = async (name) => (await fetch(new URL(name, root))).json();

/** Show a column for this browser, and check all chapters, or what the reader chooses. */
export async function start(box) {
  const { claims } = await get("claims.json");
  const chapters = [...new Set(claims.map((claim) => claim.chapter))];
  const { bar, words, told } = progress();
  const here = new Map(); // what came of each claim, by its id
  const kept = `${parts.key}:${book}`; // where this browser has it after the page is left
  const cells = new Map();
  const table = document.querySelector(".ledger table");
  table.tHead.rows[0].append(make("th", { textContent: "In this browser" }));
  for (const claim of claims) {
    const cell = document.getElementById(claim.id).insertCell();
    cell.className = "live-here";
    cell.append(button("check", () => begin([claim.chapter], claim.id), { ariaLabel: `Check ${claim.id} in this browser` }));
    cells.set(claim.id, cell);
  }

  let kernel = null, gate = null, open = null, last = Promise.resolve(), wanted = 0;
  const down = (why) => { kernel?.end(); kernel = null; bar.hidden = true; words.textContent = why; };
  const up = async () => {
    if (kernel) return;
    Object.assign(bar, { hidden: false, max: 1, value: 0 });
    kernel = new Kernel({ told, lost: () => down("Python is gone: its worker ended, perhaps for want of memory. What was checked is kept; check on and it starts anew.") });
    await kernel.ask("ready");
  };
  const enter = (id, found) => {
    here.set(id, found);
    try { localStorage.setItem(kept, JSON.stringify([...here])); } catch {} // a browser may keep nothing
    const verdict = make("b", { className: found.agrees ? "live-agrees" : "live-differs", textContent: found.agrees ? "agrees" : "does not agree" });
    const said = found.error ?? `residual ${power(found.residual)}`;
    cells.get(id).replaceChildren(make("span", { textContent: said }), verdict);
  };
  const count = (chapter) => {
    const differ = [...here.values()].filter((found) => !found.agrees).length;
    bar.hidden = false;
    bar.max = wanted;
    bar.value = [...here.values()].length;
    words.textContent = `${here.size} of ${claims.length} claims checked, ${differ ? `${differ} do not agree` : "all agree"}. ${chapter}`;
  };

  /** Run the cells of a chapter that its checks need, or those of one claim. */
  const chapter = async (name, only) => {
    const due = claims.filter((claim) => claim.chapter === name && (!only || claim.id === only));
    const notebook = await get(`${parts.scripts}chapters/${name}.ipynb`);
    const sources = notebook.cells.filter((cell) => cell.cell_type === "code").map((cell) => [cell.source].flat().join(""));
    const ids = new Set(due.map((claim) => claim.id)), found = new Set(), chosen = new Set();
    for (const [place, source] of sources.entries()) {
      const made = [...source.matchAll(CHECK)].map((match) => match[1]).filter((id) => ids.has(id));
      if (!made.length) continue;
      made.forEach((id) => found.add(id));
      for (const needed of await kernel.ask("needs", sources, place)) chosen.add(needed);
    }
    // A check whose id is not written out may be anywhere.
    const run = found.size === ids.size ? [...chosen].sort((a, b) => a - b) : sources.map((_, place) => place);
    await kernel.ask("fresh");
    for (const place of run) {
      await gate;
      count(`Now ${name}, ${run.indexOf(place) + 1} of ${run.length} cells.`);
      const began = performance.now();
      const { outputs, ok } = await kernel.ask("run", sources[place]);
      const took = (performance.now() - began) / 1e3;
      for (const { metadata } of outputs) {
        if (!ids.delete(metadata?.claim?.id)) continue;
        const { id, residual, tol, altered } = metadata.claim;
        enter(id, { residual, tol, altered, seconds: took, agrees: residual <= tol && (altered === null || altered > tol) });
      }
      if (!ok) {
        const { ename, evalue } = outputs.find((output) => output.output_type === "error");
        const failed = [...sources[place].matchAll(CHECK)].map((match) => match[1]).filter((id) => ids.delete(id));
        for (const id of failed.length ? failed : ids) enter(id, { error: `${ename}: ${evalue}`, agrees: false });
        if (!failed.length) return;
      }
    }
    for (const id of ids) enter(id, { error: "was not reached", agrees: false });
  };
  const begin = (names, only) => last = last.then(async () => {
    document.documentElement.dataset.live = "busy";
    const began = performance.now();
    try {
      if (names.length) await up();
      wanted = claims.filter((claim) => names.includes(claim.chapter) && (!only || claim.id === only) && !here.has(claim.id)).length + here.size;
      for (const name of names) await chapter(name, only);
      count(`Done in ${seconds((performance.now() - began) / 1e3)}.`);
    } catch (error) {
      if (!(error instanceof Ended)) down(`Python could not go on: ${error.message}.`);
    }
    bar.hidden = true;
    document.documentElement.dataset.live = "ready";
  });

  const choice = make("select", { className: "live-button" }, make("option", { value: "", textContent: "all chapters" }), ...chapters.map((name) => make("option", { value: name, textContent: name })));
  choice.setAttribute("aria-label", "What to check");
  const go = button("Check", () => begin(choice.value ? [choice.value] : chapters));
  const pause = button("Pause", () => {
    if (open) { open(); open = gate = null; } else gate = new Promise((resolve) => { open = resolve; });
    pause.textContent = open ? "Go on" : "Pause";
    pause.setAttribute("aria-pressed", String(!!open));
    if (open) words.textContent = "Paused after this cell. What was checked is kept.";
  });
  const save = button("Save as JSON", async () => {
    const versions = kernel ? await kernel.ask("versions") : null;
    const record = { schema: 1, date: new Date().toISOString(), browser: navigator.userAgent, versions, book,
      claims: claims.filter((claim) => here.has(claim.id)).map(({ id, chapter: name, residual, tol, altered }) => ({ id, chapter: name, book: { residual, tol, altered }, here: here.get(id) })) };
    give("claims-here.json", JSON.stringify(record, null, 1), "application/json");
  });
  const live = make("div", { className: "live-bar" }, choice, go, pause, save, words, bar);
  live.setAttribute("role", "region");
  live.setAttribute("aria-label", "Checks in this browser");
  box.replaceChildren(make("span", { className: "live-told", textContent: "Each check is made again in this browser, in the last column. A residual differs in its last digits from machine to machine; it agrees where the claim holds by the book's own tolerance." }));
  document.querySelector("article").append(live);
  try { for (const [id, found] of JSON.parse(localStorage.getItem(kept)) ?? []) if (cells.has(id)) enter(id, found); } catch {}
  await begin(chapters.filter((name) => claims.some((claim) => claim.chapter === name && !here.has(claim.id))));
}
