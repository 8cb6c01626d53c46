// The worker in which Python runs. Its name says where its parts are; they are kept in this
// browser's cache under the name of their folder, which is another for other parts.
const { python: folder, wheel } = JSON.parse(self.name);
const plain = self.fetch.bind(self);
const say = (stage) => postMessage({ stage });

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
  const store = await cache;
  const kept = await store?.match(url);
  const answer = kept ?? await plain(url);
  if (!answer.ok) throw new Error(`${new URL(url).pathname}: ${answer.status} ${answer.statusText}`);
  const file = new URL(url).pathname.split("/").at(-1);
  let loaded = 0;
  const count = new TransformStream({ transform(chunk, to) { loaded += chunk.length; postMessage({ file, loaded, kept: !!kept }); to.enqueue(chunk); } });
  const made = new Response(answer.body.pipeThrough(count), { headers: answer.headers });
  if (kept || !store) return made;
  const [one, two] = made.body.tee();
  store.put(url, new Response(two, { headers: answer.headers })).catch(() => store.delete(url));
  return new Response(one, { headers: answer.headers });
}
self.fetch = (url) => fetched(new URL(url.url ?? url, location).href);

const ready = (async () => {
  say("Loading Python");
  const bytes = async (url) => new Uint8Array(await (await fetched(url)).arrayBuffer());
  const base = bytes(folder + "base.zip"), book = bytes(wheel), about = fetched(folder + "parts.json").then((answer) => answer.json());
  const { loadPyodide } = await import(folder + "pyodide.mjs");
  const python = await loadPyodide({ indexURL: folder, env: { HOME: "/home/pyodide", MPLBACKEND: "module://matplotlib_inline.backend_inline" } });
  const site = python.runPython("import site; site.getsitepackages()[0]");
  const unpack = (data) => python.unpackArchive(data, "zip", { extractDir: site });
  const first = await base;
  say("Unpacking NumPy and SciPy");
  unpack(first);
  await python._api.loadDynlib(site + "/libopenblas.so", true);
  unpack(await book);
  // What is imported later comes at once where it was seen coming, and else while Python waits.
  const coming = new Map();
  const load = (name) => {
    let data = coming.get(name);
    if (!data) {
      const request = new XMLHttpRequest();
      request.open("GET", `${folder}${name}.zip`, false);
      request.responseType = "arraybuffer";
      request.send();
      if (request.status !== 200) throw new Error(`status ${request.status}`);
      data = request.response;
    }
    coming.delete(name);
    unpack(data);
  };
  say("Starting Python");
  // The terminal is a tenth of what IPython would load, and there is none.
  python.runPython(`import sys, types
sys.modules["IPython.terminal.embed"] = embed = types.ModuleType("embed")
embed.embed = None
import gfcore, gfbook.live.shell`);
  const { archives } = await about;
  const kernel = python.pyimport("gfbook.live.shell").Kernel(python.toPy(archives), load);
  const ask = (what, ...given) => JSON.parse(kernel.ask(what, JSON.stringify(given)));
  return async (what, ...given) => {
    if (what === "ready") return { heap: python._module.HEAP8.length };
    if (what === "run") {
      for (const name of ask("later", given[0])) {
        try { coming.set(name, await bytes(`${folder}${name}.zip`)); } catch {} // the cell will say so
      }
    }
    return ask(what, ...given);
  };
})();

let last = Promise.resolve();
onmessage = ({ data: { id, what, given } }) => {
  last = last.then(async () => {
    try {
      postMessage({ id, result: await (await ready)(what, ...given) });
    } catch (error) {
      postMessage({ id, error: String(error.message ?? error).trim().split("\n").at(-1) });
    }
  });
};
