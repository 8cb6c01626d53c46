// What the search page shows of a result: a sentence, with its formulas as one would type them.
// LETTERS, Greek letters and their names, is from language_data.js; the rest from searchtools.js.

const SIGNS = {
  le: "≤", leq: "≤", ge: "≥", geq: "≥", ne: "≠", neq: "≠", approx: "≈", to: "→", infty: "∞", cdot: "·",
  times: "×", in: "∈", sum: "Σ", prod: "Π", int: "∫", sqrt: "√", pm: "±", ll: "≪", gg: "≫", succeq: "⪰",
  succ: "≻", top: "ᵀ", ell: "ℓ", partial: "∂", nabla: "∇", dots: "…", ldots: "…", quad: " ", qquad: " ",
  preceq: "⪯", prec: "≺", cap: "∩", cup: "∪", star: "*", circ: "∘", mid: "|", Vert: "‖", lVert: "‖", rVert: "‖",
};
for (const [letter, name] of Object.entries(LETTERS)) {
  SIGNS[name] = SIGNS[`var${name}`] = letter;
  SIGNS[name[0].toUpperCase() + name.slice(1)] = letter.toUpperCase();
}
// These say how their argument looks, and not what it is.
const LOOKS = /^(math\w*|text\w*|operatorname|left|right|[bB]ig+[lrm]?|begin|end|displaystyle|limits)$/;
const KEPT = /^(ddot|dot|tilde|bar|hat|[dt]?frac)$/; // for the lines below
const OVER = { dot: "\u0307", ddot: "\u0308", tilde: "\u0303", bar: "\u0304", hat: "\u0302" };
const RAISED = { 0: "⁰", 1: "¹", 2: "²", 3: "³", T: "ᵀ", "-": "⁻", "+": "⁺", t: "ᵗ", n: "ⁿ", k: "ᵏ" };
const LOWERED = (text) => text.replace(/[_{}]/g, "").replace(/\d/g, (digit) => String.fromCharCode(0x2080 + Number(digit)));

/** A formula in plain letters. */
function plain(formula) {
  return formula
    .replace(/\\[()[\]]/g, "")
    .replace(/\\([A-Za-z]+)\s?/g, (all, name) => SIGNS[name] ?? (LOOKS.test(name) ? "" : KEPT.test(name) ? all : name))
    .replace(/\\(ddot|dot|tilde|bar|hat)\s*\{?(\p{L})\}?/gu, (_, name, letter) => letter + OVER[name])
    .replace(/\\[,;:! ]|~/g, " ")
    .replace(/\\\|/g, "‖")
    .replace(/_(\{[^{}]*\}|.)/g, (_, low) => LOWERED(low))
    .replace(/\^(\{[^{}]*\}|.)/g, (_, high) => {
      const all = [...high.replace(/[{}]/g, "")];
      return all.every((sign) => sign in RAISED) ? all.map((sign) => RAISED[sign]).join("") : `^${all.join("")}`;
    })
    .replace(/√\s*\{([^{}]*)\}/g, "√($1)")
    .replace(/\\[dt]?frac\s*(\{[^{}]*\}|\w)\s*(\{[^{}]*\}|\w)/g, "$1/$2")
    .replace(/[{}\\&]/g, "")
    .replace(/\s+/g, " ");
}

const read = new Map(); // a long page is often found more than once

/** The paragraphs of a page, or those from an anchor on. */
function paragraphs(html, anchor) {
  if (!read.has(html)) {
    const page = new DOMParser().parseFromString(html, "text/html");
    page.querySelectorAll(".headerlink, script, style, div.math, .admonition-title, .verdicts").forEach((el) => el.remove());
    page.querySelectorAll("span.math").forEach((el) => (el.textContent = plain(el.textContent)));
    const found = [...(page.querySelector("article") ?? page.body).querySelectorAll("p, li, dd, figcaption")];
    read.set(html, [page, found.map((el) => [el, el.textContent.replace(/\s+/g, " ").trim()]).filter(([, text]) => text.includes(" "))]);
  }
  const [page, found] = read.get(html);
  const from = anchor && page.getElementById(anchor.slice(1));
  const after = ([el]) => !from || from.contains(el) || from.compareDocumentPosition(el) & Node.DOCUMENT_POSITION_FOLLOWING;
  return found.filter(after).map(([, text]) => text);
}

Search.makeSearchSummary = (html, terms, anchor) => {
  const words = [...terms].flatMap((term) => [term, ...Object.keys(LETTERS).filter((key) => LETTERS[key] === term)]);
  const has = (text) => words.some((word) => text.toLowerCase().includes(word));
  const texts = paragraphs(html, anchor);
  const text = (!anchor && texts.find(has)) || texts[0] || "";
  const sentences = text.split(/(?<=[.?!]) (?=[A-Z])/);
  const said = sentences.slice(Math.max(0, sentences.findIndex(has))).join(" ");
  const summary = document.createElement("p");
  summary.className = "context";
  const shown = said.length < 260 ? said : said.slice(0, said.lastIndexOf(" ", 260));
  summary.textContent = /[.?!]$/.test(shown) ? shown : `${shown} …`;
  return summary;
};

/** A query; that of an equation by its number, or as one abbreviates it, by its name in the index. */
const named = (query) => query.trim().replace(/^(?:eq(?:uation|n|s)?\.?)?\s*\(?(\d+[a-z]?)\)?$/i, "equation $1");
const { query } = Search;
Search.query = (typed) => query(named(typed));

// Titles that hold the whole query come first: sphinx leaves numbers out of its terms.
Scorer.score = (result) => {
  const asked = named(new URLSearchParams(location.search).get("q")).toLowerCase();
  const whole = new RegExp(`(^|\\W)${_escapeRegExp(asked)}($|\\W)`).test(result[1].toLowerCase());
  if (/[\\_^]/.test(result[1])) result[1] = plain(result[1]);
  return result[4] + (whole ? 50 : 0);
};

// From a file no page can read another one.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
