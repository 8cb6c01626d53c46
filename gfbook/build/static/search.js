// What the search page shows of a result: a sentence, with its formulas as one would type them.
// LETTERS, Greek letters and their names, is from language_data.js; the rest from searchtools.js.

const SIGNS = {
  le: "≤", leq: "≤", ge: "≥", geq: "≥", ne: "≠", neq: "≠", approx: "≈", to: "→", infty: "∞", cdot: "·",
  times: "×", in: "∈", sum: "Σ", prod: "Π", int: "∫", sqrt: "√", pm: "±", ll: "≪", gg: "≫", succeq: "⪰",
  succ: "≻", top: "ᵀ", ell: "ℓ", partial: "∂", nabla: "∇", dots: "…", ldots: "…", quad: " ", qquad: " ",
  cdots: "⋯", mapsto: "↦", leftarrow: "←", equiv: "≡", simeq: "≃", propto: "∝", subset: "⊂", perp: "⊥", parallel: "∥", odot: "⊙",
  angle: "∠", langle: "⟨", rangle: "⟩", preceq: "⪯", prec: "≺", cap: "∩", cup: "∪", star: "*", circ: "∘", mid: "|", Vert: "‖", lVert: "‖", rVert: "‖", lvert: "|", rvert: "|", vert: "|",
};
for (const [letter, name] of Object.entries(LETTERS)) {
  SIGNS[name] = SIGNS[`var${name}`] = letter;
  SIGNS[name[0].toUpperCase() + name.slice(1)] = letter.toUpperCase();
}
// These say how their argument looks, and not what it is.
const LOOKS = /^(math\w*|text\w*|operatorname|left|right|[bB]ig+[lrm]?|begin|end|displaystyle|limits)$/;
const KEPT = /^(ddot|dot|tilde|bar|hat|[dt]?frac|binom)$/; // for the lines below
const OVER = { dot: "\u0307", ddot: "\u0308", tilde: "\u0303", bar: "\u0304", hat: "\u0302" };
const RAISED = { 0: "⁰", 1: "¹", 2: "²", 3: "³", T: "ᵀ", "-": "⁻", "+": "⁺", t: "ᵗ", n: "ⁿ", k: "ᵏ" };
const LOWERED = (text) => text.replace(/[_{}]/g, "").replace(/\d/g, (digit) => String.fromCharCode(0x2080 + Number(digit)));

/** What stands above or below a fraction's bar, in parentheses if it is a sum or a product. */
const one = (part) => part.replace(/^\{(.*)\}$/, (_, inner) => (/^[\p{L}\d]\p{No}*$|^\d+$/u.test(inner) ? inner : `(${inner})`));

/** A formula in plain letters. */
function plain(formula) {
  return formula
    .replace(/\\[()[\]]|\\(tag|begin|end)\s*\{[^}]*\}/g, "")
    .replace(/\\cr\b/g, " ")
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
    .replace(/\\binom\s*(\{[^{}]*\}|[\p{L}\d])\s*(\{[^{}]*\}|[\p{L}\d])/gu, "($1, $2)")
    .replace(/\\[dt]?frac\s*(\{[^{}]*\}|[\p{L}\d])\s*(\{[^{}]*\}|[\p{L}\d])/gu, (_, ...parts) => parts.slice(0, 2).map(one).join("/"))
    .replace(/[{}\\&]/g, "")
    .replace(/\s+/g, " ");
}

const read = new Map(); // a long page is often found more than once

/** What a page says, or says from an anchor on: a paragraph with its heading, a row with what it names. */
function paragraphs(html, anchor, has) {
  const said = (el) => el.textContent.replace(/\s+/g, " ").trim();
  if (!read.has(html)) {
    const page = new DOMParser().parseFromString(html, "text/html");
    page.querySelectorAll(".headerlink, script, style, .admonition-title, .verdicts, .beside, .rests, .residual, thead").forEach((el) => el.remove());
    page.querySelectorAll(".math").forEach((el) => (el.textContent = plain(el.textContent)));
    const found = [...(page.querySelector("article") ?? page.body).querySelectorAll("p:not(td p), li, dd, figcaption, tr, div.math")];
    const heading = (el) => (el.previousElementSibling?.matches("h2, h3, h4") ? `${said(el.previousElementSibling)}: ` : "");
    read.set(html, [page, found.map((el) => [el, el.matches("tr") ? "" : heading(el) + said(el)])]);
  }
  const [page, found] = read.get(html);
  const from = anchor && page.getElementById(anchor.slice(1));
  const after = (el) => !from || from.contains(el) || from.compareDocumentPosition(el) & Node.DOCUMENT_POSITION_FOLLOWING;
  const row = ([name, meaning]) => (meaning && has(said(name)) ? `${said(name)}: ${said(meaning)}` : "");
  // A formula is told where it is what was asked for.
  return found.filter(([el]) => after(el) && (!el.matches("div.math") || el === from))
    .map(([el, text]) => [el.matches("tr") ? row(el.cells) : text, el === from])
    .filter(([text, asked]) => asked || text.includes(" ")).map(([text]) => text);
}

Search.makeSearchSummary = (html, terms, anchor) => {
  const words = [...terms].map((term) => [term, ...Object.keys(LETTERS).filter((key) => LETTERS[key] === term)]);
  const within = (text) => (word) => (/^[a-z]$/.test(word) ? RegExp(`\\b${word}\\b`, "i").test(text)
    : text.includes(word) || (!(word in LETTERS) && text.toLowerCase().includes(word)));
  const all = (text) => words.every((names) => names.some(within(text)));
  const has = (text) => words.flat().some((word) => [text, text.toLowerCase()].some((said) => within(said)(word)));
  const texts = paragraphs(html, anchor, has);
  const text = (!anchor && (texts.find(all) ?? texts.find(has))) || texts[0] || "";
  const sentences = text.split(/(?<=[.?!]) (?=[A-Z])/);
  const said = sentences.slice(Math.max(0, sentences.findIndex(has))).join(" ");
  const summary = document.createElement("p");
  summary.className = "context";
  const shown = said.length < 260 ? said : said.slice(0, said.lastIndexOf(" ", 260));
  summary.textContent = /[.?!]$/.test(shown) ? shown : `${shown} …`;
  return summary;
};

const FULL = { prop: "proposition", cor: "corollary", def: "definition", thm: "theorem", fig: "figure", tab: "table" };
const ASKED = /^(?:how (?:do (?:i|you|we)|can (?:i|one)|to)|wh(?:at|ere) (?:is|are)(?: an?| the)?)\s+|\?+$/gi; // of a question
const SPELLED = [[ASKED, ""], [/counter\s?example/gi, "counter-example"], [/over-?paramet(e?)ri[sz]/gi, "overparameteriz"], [/isation/gi, "ization"]];

/** A query as this book spells it: that of a statement or an equation as one abbreviates it by its
 * name in the index, a letter apart from what stands below it, one for several of a thing, and what a
 * question is about without how it asks. */
function named(typed) {
  const said = typed.trim().replace(/\\/g, "").replace(/_?[₀-₉]/g, (low) => ` ${low.at(-1).charCodeAt() - 0x2080}`)
    .replace(/^(?:eq(?:uation|n|s)?\.?)?\s*\(?(\d+[a-z]?)\)?$/i, "equation $1")
    .replace(/^(prop|cor|def|thm|fig|tab)\.?\s*(?=\d)/i, (_, name) => `${FULL[name.toLowerCase()]} `)
    .replace(RegExp(`(${Object.entries(LETTERS).flat().join("|")})_`, "gi"), "$1 ");
  const query = SPELLED.reduce((text, [other, own]) => text.replace(other, own), said), one = query.replace(/s$/i, "");
  return one.toLowerCase() in Search._index.indexentries ? one : query;
}
const { query } = Search;
Search.query = (typed) => {
  // Each place that the index leads to is about its word, whether it is the main one or not.
  Object.values(Search._index.indexentries).flat().forEach((place) => (place[2] = true));
  query(named(typed));
};

// Titles that hold the whole query come first, as sphinx leaves numbers out of its terms, and
// for a letter, with or without an index, the page that says what letters mean.
Scorer.score = (result) => {
  const asked = named(new URLSearchParams(location.search).get("q")).toLowerCase();
  const whole = new RegExp(`(^|\\W)${_escapeRegExp(asked)}($|\\W)`).test(result[1].toLowerCase());
  const letter = RegExp(`^(\\p{L}|${Object.values(LETTERS).join("|")})( \\w{1,3})?$`, "u").test(asked);
  if (/[\\_^]/.test(result[1])) result[1] = plain(result[1]);
  const early = -0.01 * Search._index.docnames.indexOf(result[0]); // of two alike the first in the book
  return result[4] + early + (letter && /^notation/i.test(result[1]) ? 500 : whole ? 50 : 0);
};

Documentation.TRANSLATIONS[
  "Your search did not match any documents. Please make sure that all words are spelled correctly and that you've selected enough categories."
] = "Your search did not match any page: none has all these words. The index at the end of the book has what it calls things.";

// From a file no page can read another one.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
