// Python as a page sees it: it is started, asked one thing after another, and ended.

export { seconds } from "./states.mjs";

/** The parts, where the page says that they are. */
export const parts = JSON.parse(document.getElementById("live-parts").textContent);
export const root = new URL(document.documentElement.dataset.content_root, document.baseURI);
for (const name of ["python", "scripts", "wheel"]) parts[name] = new URL(parts[name], root).href;

export class Ended extends Error {}

export class Kernel {
  /** Start a worker; `told` hears of its stages and of how much is loaded, `lost` why it is gone. */
  constructor({ told, lost }) {
    this.waiting = new Map();
    this.next = 0;
    const life = `${parts.key} ${Math.random()}`, name = JSON.stringify({ python: parts.python, wheel: parts.wheel, life });
    this.worker = new Worker(`${parts.scripts}worker.mjs`, { type: "module", name });
    this.worker.onmessage = ({ data }) => {
      if (!("id" in data)) return told(data);
      const { resolve, reject } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if ("error" in data) reject(Object.assign(new Error(data.error), { network: data.network }));
      else resolve(data.result);
    };
    const gone = (said = "Python is gone: its worker ended, perhaps for want of memory.") => { if (this.worker) { this.end(said); lost(said); } };
    // An error without a message: the worker's program itself could not be had.
    this.worker.onerror = (event) => { event.preventDefault(); gone(event.message ? undefined : "Python could not be loaded. Is there a network?"); };
    // A worker that a browser ends, for want of memory, says nothing; but it had a lock while it lived.
    this.ask("ready").then(() => navigator.locks?.request(life, () => gone()), (error) => gone(`Python could not be loaded: ${error.message}.${error.network ? " Is there a network?" : ""}`));
  }

  ask(what, ...given) {
    return new Promise((resolve, reject) => {
      if (!this.worker) return reject(new Ended("Python was stopped"));
      this.waiting.set(this.next, { resolve, reject });
      this.worker.postMessage({ id: this.next++, what, given });
    });
  }

  /** End it, whatever it does: there is no other way to interrupt a worker. */
  end(why = "Python was stopped") {
    this.worker?.terminate();
    this.worker = null;
    for (const { reject } of this.waiting.values()) reject(new Ended(why));
    this.waiting.clear();
  }
}

export const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

export const button = (text, click, more = {}) => make("button", { type: "button", className: "live-button", textContent: text, onclick: click, ...more });

/** A bar of progress with words: how far the parts are loaded, and what is done after that. */
export function progress() {
  const bar = make("progress", { max: 1, value: 0 }), words = make("span", { className: "live-words" });
  words.setAttribute("role", "status");
  bar.setAttribute("aria-label", "Loading Python");
  const files = {}, whole = Object.values(parts.bytes).reduce((a, b) => a + b, 0);
  // What moves by itself, without an end, is drawn sixty times a second, and takes that from Python.
  const told = ({ stage, done, file, loaded }) => {
    if (stage) {
      words.textContent = `${stage} …`;
      bar.value = done;
    } else if (file in parts.bytes) {
      files[file] = loaded ?? parts.bytes[file];
      bar.value = Math.max(bar.value, 0.6 * Object.values(files).reduce((a, b) => a + b, 0) / whole);
    } else if (file?.endsWith(".pack")) {
      words.textContent = `Loading ${{ scipy: "more of SciPy", sympy: "SymPy" }[file.slice(0, -5)] ?? file} …`;
    }
  };
  return { bar, words, told };
}

/** A number as the book prints it. */
export const power = (value) => {
  const [digits, exponent] = value.toExponential(1).split("e");
  const raised = [...String(Number(exponent))].map((sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]).join("");
  return value === 0 ? "0" : Math.abs(exponent) < 3 ? String(Number(value.toPrecision(2))) : `${digits === "1.0" ? "" : `${digits}·`}10${raised}`;
};

/** Give a file to the reader. */
export function give(name, text, type) {
  const link = make("a", { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
