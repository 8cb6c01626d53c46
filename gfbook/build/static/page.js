// Before a page is drawn: the theme that its reader has elsewhere. Once it is there: one switch
// for the folds of all its checks, which is remembered, and the fold that an address leads to; and
// previews of what links lead to. And where a line is too short for a formula, the formula breaks.
const theme = document.documentElement.dataset;
if (theme.theme === "auto") theme.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";

/** What the reader chose on another page, where the browser keeps that. */
const remembered = {
  get open() { try { return localStorage.getItem("checks") === "open"; } catch { return false; } },
  set open(open) { try { open ? localStorage.setItem("checks", "open") : localStorage.removeItem("checks"); } catch {} },
};

function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const check = target?.closest("details.check");
  if (!check) return;
  check.open = true;
  target.scrollIntoView();
}

/** Make pieces of a row, each from a sign that a line may begin with to the next: the minus after
 * one stays with it. Given a level, first at wide spaces, then outside of brackets, then within:
 * a piece that is longer than a line is a row of pieces again. */
function pieces(row, level = Infinity) {
  const sign = (part) => part.matches('mjx-mo:is([space="3"], [space="4"])');
  const space = (part) => parseFloat(part.matches("mjx-mstyle") && part.firstChild?.style?.width) >= 1;
  const bracket = (part) => part.matches("mjx-mo, mjx-texatom, mjx-msub, mjx-msup, mjx-msubsup") ? /-c(\w+)/.exec(part.querySelector("mjx-c")?.className)?.[1] : "";
  const found = [];
  let depth = 1, bars = false;
  for (const part of row.children) {
    const piece = found.at(-1), begins = sign(part) && !(piece?.length === 1 && sign(piece[0]));
    if (!piece || space(part) || space(piece.at(-1)) || (begins && depth <= level)) found.push([]);
    const code = bracket(part);
    depth += ["28", "5B", "7B", "27E8"].includes(code) - ["29", "5D", "7D", "27E9"].includes(code);
    if (["2016", "7C"].includes(code)) depth += (bars = !bars) ? 1 : -1;
    found.at(-1).push(part);
  }
  if (found.length === 1 && level < 4) return pieces(row, level + 1);
  for (const parts of found) {
    const piece = Object.assign(document.createElement("span"), { className: "piece" });
    parts[0].before(piece);
    piece.append(...parts);
    if (level < 4) pieces(piece, level + 1);
  }
}

/** Mark the formulas that are longer than a line of their text; the style sheet breaks them. */
function breaks() {
  const all = [...document.querySelectorAll("article .math")];
  all.forEach((formula) => { formula.classList.remove("long"); formula.style.fontSize = ""; });
  const over = (box) => box.scrollWidth > box.clientWidth + 1;
  const wide = (formula) => formula.matches("span") ? formula.querySelector("mjx-math")?.offsetWidth > formula.clientWidth + 1
    : [formula, ...formula.querySelectorAll("mjx-container, mjx-table")].some(over);
  for (const formula of all.filter(wide)) {
    const rows = [...formula.querySelectorAll("mjx-math, mjx-mtd:last-child")].filter((row) => !row.closest("mjx-mrow") && !row.querySelector(".piece, mjx-mtd:not(mjx-mrow *)"));
    rows.forEach((row) => pieces(row, formula.matches("div") ? 0 : Infinity));
    formula.classList.add("long");
    if (formula.matches("div") && wide(formula)) formula.style.fontSize = "85%"; // a long fraction
  }
}

/** Let the Tab key stop at a displayed formula that scrolls; what is hidden from screen readers, the browser has to. */
function stops() {
  for (const box of document.querySelectorAll("article div.math, article div.math :is(mjx-container, mjx-table)")) {
    if (box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX === "auto") {
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.ariaLabel = "a long formula, which scrolls";
    } else if (box.ariaLabel === "a long formula, which scrolls") ["tabindex", "role", "aria-label"].forEach((name) => box.removeAttribute(name));
  }
}

addEventListener("load", () => window.MathJax?.startup?.promise.then(() => {
  let width = 0;
  new ResizeObserver(() => { if (innerWidth !== width) { width = innerWidth; breaks(); stops(); } }).observe(document.body);
}));

/** What a link leads to, an equation, a claim, a work, beside it while one points at it. */
function preview() {
  const box = Object.assign(document.createElement("div"), { id: "preview", hidden: true });
  box.setAttribute("role", "tooltip");
  document.body.append(box);
  let known, wait = 0, link = null;
  const load = () => known ??= new Promise((done) => {
    const script = document.createElement("script");
    Object.assign(script, { src: `${document.documentElement.dataset.content_root}_static/previews.js`, onload: () => done(window.previews) });
    document.head.append(script);
  });
  const hide = () => { box.hidden = true; link?.removeAttribute("aria-describedby"); link = null; };
  const later = (what, time) => { clearTimeout(wait); wait = setTimeout(what, time); };
  async function show(at) {
    const id = decodeURIComponent(at.hash.slice(1)), cited = document.getElementById(id)?.closest(".citation");
    const said = cited ? cited.innerHTML : (await load())[id];
    if (!said || (!at.matches(":hover") && document.activeElement !== at)) return;
    hide();
    Object.assign(box, { innerHTML: said, hidden: false });
    (link = at).setAttribute("aria-describedby", box.id);
    at.removeAttribute("title"); // or the browser would show that as well
    await window.MathJax?.typesetPromise?.([box]);
    const place = at.getBoundingClientRect(), below = place.bottom + 6 + box.offsetHeight < innerHeight;
    box.style.left = `${Math.max(8, Math.min(place.left, innerWidth - box.offsetWidth - 8))}px`;
    box.style.top = `${below ? place.bottom + 6 : Math.max(8, place.top - box.offsetHeight - 6)}px`;
  }
  const found = (event) => event.target.closest?.('article a[href*="#"]:not(.headerlink, svg *)');
  const article = document.querySelector("article");
  article?.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse" && found(event)) later(() => show(found(event)), 250); });
  article?.addEventListener("pointerout", () => later(hide, 250));
  article?.addEventListener("focusin", (event) => { if (found(event)?.matches(":focus-visible")) later(() => show(found(event)), 0); });
  article?.addEventListener("focusout", () => later(hide, 0));
  box.addEventListener("pointerenter", () => clearTimeout(wait));
  box.addEventListener("pointerleave", () => later(hide, 250));
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
}

addEventListener("DOMContentLoaded", () => {
  preview();
  const checks = document.querySelectorAll("details.check");
  if (!checks.length) return;
  const all = document.createElement("input");
  Object.assign(all, { type: "checkbox", role: "switch" });
  const turn = () => checks.forEach((check) => { check.open = all.checked; });
  all.addEventListener("change", () => { turn(); remembered.open = all.checked; });
  all.checked = remembered.open || new URLSearchParams(location.search).get("checks") === "open";
  if (all.checked) turn();
  const label = document.createElement("label");
  label.className = "checks";
  label.append(all, " Show all checks");
  document.querySelector("article h1").after(label);
  addEventListener("hashchange", follow);
  follow();
});
