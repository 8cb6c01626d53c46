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

const sign = (part) => part.matches('mjx-mo:is([space="3"], [space="4"])'); // of a relation or an operator
const codes = (part, where) => [...part.querySelectorAll(where)].map((c) => /-c(\w+)/.exec(c.className)?.[1]);

/** What it costs to begin a line at each part of a row: nothing after a wide space, little before
 * a sign or a word, more between factors, before a bracket or a sum and behind them; and most within
 * a term of a sum and within brackets, the more so after the first term of one. */
function seams(parts) {
  const space = (part) => parseFloat(part.matches("mjx-mstyle") && part.firstChild?.style?.width) >= 1;
  const bracket = (part) => part.matches("mjx-mo, mjx-texatom, mjx-msub, mjx-msup, mjx-msubsup") ? codes(part, "mjx-c")[0] : "";
  const sum = (part) => part.matches("mjx-mo, mjx-munder, mjx-munderover, mjx-msub, mjx-msup, mjx-msubsup") && codes(part, "mjx-c").some((c) => ["2211", "222B", "220F"].includes(c));
  const letter = (part) => [part, ...part.querySelectorAll("mjx-mi")].some((e) => e.matches("mjx-mi") && e.children.length === 1);
  const factor = (part) => letter(part) && !part.matches("mjx-mo, mjx-mtext, mjx-mstyle") && !sum(part);
  const outer = [];
  let here = { signs: 0, plus: 0, sum: 0 }, bars = false, closed = false;
  return parts.map((part, i) => {
    const before = parts[i - 1], code = bracket(part), bar = ["2016", "7C"].includes(code), relation = part.matches('[space="4"]');
    const opens = ["28", "5B", "7B", "27E8"].includes(code) || (bar && (bars = !bars)), closes = ["29", "5D", "7D", "27E9"].includes(code) || (bar && !opens);
    let cost = Infinity;
    if (!before || space(before)) cost = 0;
    else if (sign(part) && !sign(before)) cost = (relation ? 1 : 2) + (outer.length && !here.signs ? 8 : 0);
    else if (!sign(before) && [part, before].some((e) => e.matches("mjx-mtext"))) cost = 2;
    else if ((opens || sum(part)) && (closed || factor(before))) cost = (here.sum ? 4 : 0) + (opens ? 8 : 6) + (here.plus ? 8 : 0);
    else if (closed && factor(part) && !closes) cost = 10 + (here.plus ? 8 : 0);
    cost += 14 * outer.length;
    if (sign(part)) here = { signs: here.signs + 1, plus: relation ? 0 : here.plus + 1, sum: 0 };
    if (sum(part)) here.sum = 1;
    if (closes && outer.length) here = outer.pop();
    if (opens) { outer.push(here); here = { signs: 0, plus: 0, sum: 0 }; }
    closed = closes;
    return cost;
  });
}

/** Break a row into lines that are not longer than a width, at what together costs least. In a
 * line of text the browser breaks it, within brackets only where what they hold is too long. */
function pieces(row, width, display) {
  const parts = [...row.children].filter((part) => !part.matches("mjx-tstrut")), costs = seams(parts), em = parseFloat(getComputedStyle(row).fontSize);
  row.style.setProperty("white-space", "nowrap", "important");
  const places = parts.map((part) => part.getBoundingClientRect()), long = (i, j) => {
    while (j > i && parts[j].matches("mjx-mstyle")) j--; // a space at the end of a line is none
    return places[j].right - places[i].left;
  };
  row.style.whiteSpace = "";
  const indent = (i) => !i || !costs[i] ? 0 : costs[i] < 14 ? 1.5 : 2.5;
  let starts = [...parts.keys()].filter((i) => i && costs[i] < 3);
  /** Where in a line of text a piece that is too long may be broken: where it costs least, and so on in what is still too long. */
  const broken = (from, to) => {
    const inside = long(from, to - 1) > width ? [...parts.keys()].filter((i) => i > from && i < to && costs[i] < Infinity) : [];
    const least = Math.min(...inside.map((i) => costs[i])), at = inside.filter((i) => costs[i] === least);
    return at.length ? [from, ...at].flatMap((i, n) => [...(n ? [i] : []), ...broken(i, at[n] ?? to)]) : [];
  };
  if (display) {
    const best = [{ cost: 0, starts: [] }];
    for (let j = 1; j <= parts.length; j++) {
      if (j < parts.length && costs[j] === Infinity) continue;
      for (let i = 0; i < j; i++) {
        if (!best[i]) continue;
        const left = width - long(i, j - 1) - indent(i) * em, cost = best[i].cost + 3 + costs[i] + (left < 0 ? 1000 - left : j < parts.length ? (left / width) ** 2 : 0);
        if (!(cost >= best[j]?.cost)) best[j] = { cost, starts: [...best[i].starts, i] };
      }
    }
    starts = best.at(-1).starts.slice(1);
  } else starts = [0, ...starts].flatMap((i, n) => [...(n ? [i] : []), ...broken(i, starts[n] ?? parts.length)]);
  [0, ...starts].forEach((from, n) => {
    const piece = Object.assign(document.createElement("span"), { className: "piece" });
    if (display) piece.style.paddingLeft = `${indent(from)}em`;
    parts[from].before(piece);
    piece.append(...parts.slice(from, starts[n] ?? parts.length));
  });
  return starts.some((i) => costs[i] >= 14);
}

/** Break the formulas that are longer than a line of their text. */
function breaks() {
  const all = [...document.querySelectorAll("article .math")];
  const whole = (formula) => formula.querySelectorAll(".piece").forEach((piece) => piece.replaceWith(...piece.childNodes));
  for (const formula of all.filter((formula) => formula.matches(".long"))) {
    whole(formula);
    formula.classList.remove("long");
    formula.style.fontSize = "";
  }
  const over = (box) => box.scrollWidth > box.clientWidth + 1;
  const text = (formula) => formula.closest("p, li, td, dd, section") ?? formula;
  const wide = (formula) => formula.matches("span") ? formula.querySelector("mjx-math")?.offsetWidth > formula.clientWidth + 1
    || formula.closest(".together")?.getBoundingClientRect().right > text(formula).getBoundingClientRect().right + 1 // the stop behind it
    : [formula, ...formula.querySelectorAll("mjx-container, mjx-table")].some(over);
  for (const formula of all.filter(wide)) {
    const display = formula.matches("div"), rows = [...formula.querySelectorAll("mjx-math, mjx-mtd:last-child")].filter((row) => !row.closest("mjx-mrow, mjx-labels") && !row.querySelector("mjx-mtd:not(mjx-mrow *)"));
    const number = formula.querySelector("mjx-labels mjx-mtd");
    formula.classList.add("long");
    const lines = (size) => {
      whole(formula);
      formula.style.fontSize = size;
      const ends = [display ? formula : text(formula), ...(number ? [formula.querySelector("mjx-table")] : [])].map((box) => box.getBoundingClientRect().right);
      const end = Math.min(...ends, number ? number.getBoundingClientRect().left - 6 : Infinity);
      const inside = rows.map((row) => pieces(row, display ? end - row.getBoundingClientRect().left : text(formula).clientWidth, display)).some(Boolean);
      return display && (wide(formula) ? 2 : Number(inside));
    };
    const amiss = lines(""); // then smaller, for a long fraction or bracket
    if (amiss && lines("85%") === 1) lines("");
    else if (amiss && wide(formula)) lines("75%");
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
    if (!at.matches(":hover") && document.activeElement !== at) return;
    hide();
    if (!said) return;
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
