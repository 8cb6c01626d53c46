// Python with all that a page needs, in a worker and in Node alike.
const ENV = { HOME: "/home/pyodide", MPLBACKEND: "module://matplotlib_inline.backend_inline" };
// The terminal is a tenth of what IPython would load, its history needs SQLite; there is neither.
// What stays is not looked through again and again for what can be thrown away.
const BEGIN = `import gc, sys, types
gc.set_threshold(100_000, 20, 100)
sys.modules["IPython.terminal.embed"] = embed = types.ModuleType("embed")
embed.embed = None
sys.modules["sqlite3"] = sqlite3 = types.ModuleType("sqlite3")
sqlite3.Connection = type(None)
import gfcore, gfbook.live.shell
del sys.modules["sqlite3"]
gc.freeze()`;

/** Put the files of a tar archive below a folder, without copying one, nor looking for its path. */
export function unpack(FS, tar, folder) {
  const text = (from, size) => String.fromCharCode(...tar.subarray(from, from + size)).split("\0")[0];
  const folders = new Map();
  const into = (path) => {
    if (!folders.has(path)) { FS.mkdirTree(path); folders.set(path, FS.lookupPath(path).node); }
    return folders.get(path);
  };
  for (let at = 0; tar[at];) {
    const size = parseInt(text(at + 124, 12), 8), begin = at + 512;
    const path = [folder, text(at + 345, 155), text(at, 100)].filter(Boolean).join("/"), cut = path.lastIndexOf("/");
    const file = FS.filesystems.MEMFS.createNode(into(path.slice(0, cut)), path.slice(cut + 1), 0o100644, 0);
    Object.assign(file, { contents: tar.subarray(begin, begin + size), usedBytes: size });
    at = begin + Math.ceil(size / 512) * 512;
  }
}

/**
 * Move the symbols that have an address out of the list in which each library that is loaded looks
 * for those without one, to where they are found by name: all of them are most of its work.
 */
function settle(symbols) {
  const known = Object.create(Object.getPrototypeOf(symbols));
  for (const [name, entry] of Object.entries(symbols)) if (entry.value) { known[name] = entry; delete symbols[name]; }
  Object.setPrototypeOf(symbols, known);
}

/** Start it from `base`, an archive, and the wheel of the book; return how its kernel is asked. */
export async function start({ loadPyodide, folder, base, book, about, load, say = () => {} }) {
  let site;
  const fsInit = async (FS, { sitePackages }) => {
    site = sitePackages;
    const files = await base;
    say("Starting Python", 0.6);
    unpack(FS, files, site.slice(0, site.lastIndexOf("/")));
  };
  const python = await loadPyodide({ indexURL: folder, env: ENV, fsInit });
  await python._api.loadDynlib(`${site}/libopenblas.so`, true);
  settle(python._module.GOT);
  python.unpackArchive(await book, "zip", { extractDir: site });
  say("Starting NumPy and SciPy", 0.8);
  python.runPython(BEGIN);
  settle(python._module.GOT);
  // An archive comes unpacked where it was seen coming, or as it is while Python waits.
  const later = (name) => {
    const { tar, packed } = load(name);
    if (tar) unpack(python.FS, tar, site);
    else python.unpackArchive(packed, "gztar", { extractDir: site });
  };
  const kernel = python.pyimport("gfbook.live.shell").Kernel(python.toPy((await about).archives), later);
  return { python, ask: (what, ...given) => JSON.parse(kernel.ask(what, JSON.stringify(given))) };
}
