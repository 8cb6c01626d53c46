// The ledger: every check of the paper made again in the reader's browser, beside the book's own.
import { Ended, Kernel, button, give, make, parts, power, progress, root, seconds } from "./kernel.mjs";

const CHECK = /\bcheck\(\s*"([\w-]+)"/g;
const book = parts.scripts.match(/live-(\w+)/)[1];
const get = async (name) => (await fetch(new URL(name, root))).json();

/** Check all chapters, if the `whole` is wanted, and before them each claim that was `asked` for. */
export async function start(box, asked, whole) {
  const { claims } = await get("claims.json");
  const chapters = [...new Set(claims.map((claim) => claim.chapter))];
  const { bar, words, told } = progress();
  const here = new Map(); // what came of each claim, by its id
  const kept = `${parts.key}:${book}`; // where this browser has it after the page is left
  const cells = new Map(claims.map(({ id }) => [id, document.querySelector(`[id="${id}"] .live-here`)]));

  let kernel = null, paused = false, working = null, total = 0, wake = () => {};
  const jobs = []; // what is to be checked, in turn: claims of one chapter, or one claim alone
  const down = (why) => { kernel?.end(); kernel = null; bar.hidden = true; words.textContent = why; };
  const up = async () => {
    if (kernel) return;
    Object.assign(bar, { hidden: false, max: 1, value: 0 });
    kernel = new Kernel({ told, lost: (why) => down(`${why} What was checked is kept; check on and it starts anew.`) });
    await kernel.ask("ready");
  };
  const ask = (...request) => kernel ? kernel.ask(...request) : Promise.reject(new Ended("Python is gone"));
  const mark = (id, word) => Object.assign(cells.get(id).querySelector("button"), { textContent: word, ariaLabel: `${word} ${id} in this browser` });
  const enter = (id, found) => {
    here.set(id, found);
    for (const { ids } of jobs) ids.delete(id);
    try { localStorage.setItem(kept, JSON.stringify([...here])); } catch {} // a browser may keep nothing
    const verdict = make("b", { className: found.agrees ? "live-agrees" : "live-differs", textContent: found.agrees ? "agrees" : "does not agree" });
    const said = found.error ?? `residual ${power(found.residual)}`, cell = cells.get(id);
    cell.querySelectorAll("span, b").forEach((old) => old.remove());
    cell.prepend(make("span", { textContent: said }), verdict); // the button stays, and with it the focus
    mark(id, "check");
  };
  const count = (now) => {
    const differ = [...here.values()].filter((found) => !found.agrees).length;
    const left = new Set(jobs.flatMap(({ ids }) => [...ids])).size;
    Object.assign(bar, { hidden: false, max: total || 1, value: total - left });
    words.textContent = `${here.size ? `${here.size} of ${claims.length} claims checked, ${differ ? `${differ} do not agree` : "all agree"}` : "No claim is checked yet"}. ${now}`;
  };

  /** Wait while the reader pauses, and say whether a job is still the one to go on with. */
  const next = async (job) => {
    while (paused && !job.alone && jobs[0] === job) {
      count("Paused; one claim can be checked meanwhile.");
      await new Promise((resolve) => { wake = resolve; });
    }
    return jobs[0] === job;
  };
  /** Run the cells of a chapter that the checks of a job need; begin anew after what comes between. */
  const chapter = async (job) => {
    const { name, ids } = job;
    const notebook = await get(`${parts.scripts}chapters/${name}.ipynb`);
    const sources = notebook.cells.filter((cell) => cell.cell_type === "code").map((cell) => [cell.source].flat().join(""));
    const found = new Set(), chosen = new Set();
    for (const [place, source] of sources.entries()) {
      const made = [...source.matchAll(CHECK)].map((match) => match[1]).filter((id) => ids.has(id));
      if (!made.length) continue;
      made.forEach((id) => found.add(id));
      for (const needed of await ask("due", sources, place, [], [])) chosen.add(needed);
    }
    // A check whose id is not written out may be anywhere.
    const run = found.size === ids.size ? [...chosen].sort((a, b) => a - b) : sources.map((_, place) => place);
    await ask("fresh");
    for (const place of run) {
      if (!await next(job)) return;
      count(`Now ${job.alone ? [...ids].join() : name}, ${run.indexOf(place) + 1} of ${run.length} cells.`);
      const began = performance.now();
      const { outputs, ok } = await ask("run", sources[place]);
      const took = (performance.now() - began) / 1e3;
      for (const { metadata } of outputs) {
        if (!ids.has(metadata?.claim?.id)) continue;
        const { id, residual, tol, altered } = metadata.claim;
        enter(id, { residual, tol, altered, seconds: took, agrees: residual <= tol && (altered === null || altered > tol) });
      }
      if (!ok) {
        const { ename, evalue } = outputs.find((output) => output.output_type === "error");
        const failed = [...sources[place].matchAll(CHECK)].map((match) => match[1]).filter((id) => ids.has(id));
        for (const id of failed.length ? failed : ids) enter(id, { error: `${ename}: ${evalue}`, agrees: false });
      }
      if (!ids.size) return;
    }
    for (const id of ids) enter(id, { error: "was not reached", agrees: false });
  };
  /** Do the jobs, the first first, until there is none. */
  const work = () => working ??= (async () => {
    document.documentElement.dataset.live = "busy";
    const began = performance.now();
    try {
      while (jobs.length) {
        await up();
        const [job] = jobs;
        if (job.alone) for (const id of job.ids) mark(id, "checking");
        if (job.ids.size) await chapter(job);
        if (!job.ids.size) jobs.splice(jobs.indexOf(job), 1);
      }
      count(`Done in ${seconds((performance.now() - began) / 1e3)}.`);
    } catch (error) {
      for (const job of jobs.splice(0)) if (job.alone) for (const id of job.ids) mark(id, "check");
      if (!(error instanceof Ended)) down(`Python could not go on: ${error.message}.`);
    }
    total = 0;
    bar.hidden = true;
    document.documentElement.dataset.live = "ready";
  })().finally(() => { working = null; });
  const add = (place, job) => { jobs.splice(place, 0, job); total += job.ids.size; };
  /** Check some chapters after all that is asked for, or what is due of them. */
  const begin = (names, due = () => true) => {
    for (const name of names) add(jobs.length, { name, ids: new Set(claims.filter((claim) => claim.chapter === name && due(claim.id)).map(({ id }) => id)) });
    return work();
  };
  /** Check one claim before what is not alone, also while that is paused. */
  const alone = ({ id, chapter: name }) => {
    if (jobs.some((job) => job.alone && job.ids.has(id))) return;
    mark(id, "queued");
    add(jobs.filter((job) => job.alone).length, { name, ids: new Set([id]), alone: true });
    wake();
    return work();
  };
  for (const claim of claims) cells.get(claim.id).querySelector("button").onclick = () => alone(claim);

  const choice = make("select", { className: "live-button" }, make("option", { value: "", textContent: "all chapters" }), ...chapters.map((name) => make("option", { value: name, textContent: name })));
  choice.setAttribute("aria-label", "What to check");
  const go = button("Check", () => begin(choice.value ? [choice.value] : chapters));
  const pause = button("Pause", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    pause.setAttribute("aria-pressed", String(paused));
    if (paused) words.textContent = "Paused after this cell. What was checked is kept.";
    else wake();
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
  for (const id of asked.splice(0)) alone(claims.find((claim) => claim.id === id));
  await begin(whole ? chapters : [], (id) => !here.has(id));
}
