// The worker in which Python runs. Its name says where its parts are; they are kept in this
// browser's cache under the name of their folder, which is another for other parts.
import { start } from "./python.mjs";

const { python: folder, wheel, life } = JSON.parse(self.name);
navigator.locks?.request(life, () => new Promise(() => {})); // the page can tell by it that this is gone
const plain = self.fetch.bind(self);
const say = (stage, done) => postMessage({ stage, done });

/** Open the cache of these parts, and drop those of others before them; a browser may have none. */
const cache = (async () => {
  try {
    const above = new URL("..", folder).href;
    for (const name of await caches.keys()) if (name.startsWith(above) && name !== folder) await caches.delete(name);
    return await caches.open(folder);
  } catch { return null; }
})();

/** Fetch a file and say how much of it is there; what was fetched once is kept. */
async function fetched(url) {
  const store = await cache, file = new URL(url).pathname.split("/").at(-1);
  const kept = await store?.match(url);
  // A browser keeps what it compiled of a program with that in its own cache, and not with this:
  // it is taken from there where that has it, which not each does.
  if (store && file.endsWith(".wasm")) {
    const own = () => plain(url, { cache: "force-cache" }), mark = `${url}?own`;
    const keep = async () => {
      await ready;
      await store.put(url, await own());
      if (performance.getEntriesByName(url).at(-1)?.transferSize === 0) await store.put(mark, new Response(""));
    };
    try {
      const answer = kept ? await store.match(mark) && await own() : await plain(url);
      if (answer?.ok) {
        if (!kept) keep().catch(() => {});
        return postMessage({ file }), answer;
      }
    } catch (error) { if (!kept) throw error; }
  }
  if (kept) return postMessage({ file }), kept;
  const answer = await plain(url);
  if (!answer.ok) throw new Error(`${file} is not where it was (${answer.status}); load this page anew`);
  let loaded = 0, told = 0;
  const count = new TransformStream({ transform(chunk, to) {
    loaded += chunk.length;
    if (loaded > told + 5e5) postMessage({ file, loaded: told = loaded });
    to.enqueue(chunk);
  } });
  const made = new Response(answer.body.pipeThrough(count), { headers: answer.headers });
  if (!store) return made;
  const [one, two] = made.body.tee();
  store.put(url, new Response(two, { headers: answer.headers })).catch(() => store.delete(url));
  return new Response(one, { headers: answer.headers });
}
self.fetch = (url) => fetched(new URL(url.url ?? url, location).href);
const bytes = async (stream) => new Uint8Array(await new Response(stream).arrayBuffer());
const archive = async (name) => bytes((await fetched(`${folder}${name}.pack`)).body.pipeThrough(new DecompressionStream("gzip")));

const coming = new Map();
function load(name) {
  const tar = coming.get(name);
  coming.delete(name);
  if (tar) return { tar };
  const request = new XMLHttpRequest();
  request.open("GET", `${folder}${name}.pack`, false);
  request.responseType = "arraybuffer";
  request.send();
  if (request.status !== 200) throw new Error(`status ${request.status}`);
  return { packed: request.response };
}

const ready = (async () => {
  say("Loading Python", 0);
  const base = archive("base"), book = fetched(wheel).then((answer) => bytes(answer.body));
  const about = fetched(`${folder}parts.json`).then((answer) => answer.json());
  const lost = new Promise((_, reject) => [base, book, about].forEach((part) => part.catch(reject)));
  const { loadPyodide } = await import(`${folder}pyodide.mjs`);
  // Pyodide goes on without what could not be had, and ends with another error.
  const started = start({ loadPyodide, folder, base, book, about, load, say });
  const { python, ask } = await Promise.race([started, lost]);
  return async (what, ...given) => {
    if (what === "ready") return { heap: python._module.HEAP8.length };
    if (what === "run") {
      for (const name of ask("later", given[0])) {
        try { coming.set(name, await archive(name)); } catch {} // the cell will say so
      }
    }
    return ask(what, ...given);
  };
})();

/** Why Python ended, where a browser says that in its own words; or what was said. */
const why = (said) => /call stack|recursion/i.test(said) ? "a recursion went deeper than this browser can follow"
  : /out of memory|out of bounds|allocation failed/i.test(said) ? "this browser had no more memory for it" : said;

let last = Promise.resolve();
onmessage = ({ data: { id, what, given } }) => {
  last = last.then(async () => {
    try {
      postMessage({ id, result: await (await ready)(what, ...given) });
    } catch (error) {
      // What cannot be fetched, or ends on the way, is a TypeError in all browsers.
      postMessage({ id, error: why(String(error.message ?? error).trim().split("\n").at(-1).replace(/\.$/, "")), network: error instanceof TypeError });
    }
  });
};
