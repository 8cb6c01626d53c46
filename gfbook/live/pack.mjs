// Packs the archives of a folder for a page: `node pack.mjs FOLDER`. What depends on the Python that
// loads them is made by it: bytecode, and Matplotlib's list of the fonts that are left.
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";
import { fileURLToPath, pathToFileURL } from "node:url";

const folder = path.resolve(process.argv[2]), stdlib = "python_stdlib.zip";
const read = (...parts) => new Uint8Array(fs.readFileSync(path.join(...parts)));
const { loadPyodide } = await import(pathToFileURL(path.join(folder, "pyodide.mjs")));
const python = await loadPyodide({ indexURL: folder + path.sep });

python.FS.writeFile("/compiled.py", read(path.dirname(fileURLToPath(import.meta.url)), "compiled.py"));
python.unpackArchive(read(folder, "base.zip"), "zip", { extractDir: "/base" });
const pack = python.runPython(`
import sys
sys.path[:0] = ["/", "/base"]
from compiled import packed
from matplotlib import font_manager

def fonts(data):
    """Put a list of the fonts that are there in place of the one that is for another version."""
    import io, zipfile
    listed = "matplotlib/fontlist.json"
    source, made = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(made, "w") as target:
        for name in source.namelist():
            if name != listed:
                target.writestr(name, source.read(name))
        found = font_manager.FontManager()
        for each in found.afmlist, found.ttflist:  # as found, they have the order of a set
            each.sort(key=lambda font: font.fname)
        font_manager.json_dump(found, "/fonts.json")
        target.write("/fonts.json", listed)
    return made.getvalue()

def pack(data, stdlib):
    if not stdlib:
        return packed({"": data.to_bytes()})
    return packed({"": stdlib.to_bytes(), "site-packages/": fonts(data.to_bytes())})
pack
`);
for (const file of fs.readdirSync(folder)) {
  const name = path.basename(file, ".zip");
  if (file === name || file === stdlib) continue;
  const tar = pack(read(folder, file), name === "base" ? read(folder, stdlib) : null).toJs();
  fs.writeFileSync(path.join(folder, `${name}.pack`), zlib.gzipSync(tar, { level: 9 }));
  fs.rmSync(path.join(folder, file));
}
// The core asks for a standard library of its own: it gets one that is empty.
fs.writeFileSync(path.join(folder, stdlib), new Uint8Array([80, 75, 5, 6, ...Array(18).fill(0)]));
