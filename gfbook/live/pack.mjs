// Makes the archives of a folder ready to load: `node pack.mjs FOLDER`. What depends on the Python
// that loads them is made by it: bytecode, and Matplotlib's list of the fonts that are left.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const folder = path.resolve(process.argv[2]);
const read = (...parts) => new Uint8Array(fs.readFileSync(path.join(...parts)));
const { loadPyodide } = await import(pathToFileURL(path.join(folder, "pyodide.mjs")));
const python = await loadPyodide({ indexURL: folder + path.sep });

python.FS.writeFile("/compiled.py", read(path.dirname(fileURLToPath(import.meta.url)), "compiled.py"));
python.unpackArchive(read(folder, "base.zip"), "zip", { extractDir: "/base" });
const made = python.runPython(`
import sys
sys.path[:0] = ["/", "/base"]
from compiled import compiled
from matplotlib import font_manager

def fonts(data):
    """Put a list of the fonts that are there in place of the one that is for another version."""
    import io, zipfile
    listed = "matplotlib/fontlist.json"
    source, made = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            if name != listed:
                target.writestr(name, source.read(name))
        font_manager.json_dump(font_manager.FontManager(), "/fonts.json")
        target.write("/fonts.json", listed)
    return made.getvalue()

lambda name, data: compiled(fonts(data.to_bytes()) if name == "base.zip" else data.to_bytes())
`);
for (const name of fs.readdirSync(folder)) {
  if (name.endsWith(".zip") && name !== "python_stdlib.zip") {
    fs.writeFileSync(path.join(folder, name), made(name, read(folder, name)).toJs());
  }
}
