// Every code cell of some notebooks in Node, with the parts of a built site: `node live.mjs SITE CHAPTER...`
// prints for each cell a line of JSON. It is what the worker does, without a browser.
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";

const [site, ...chapters] = process.argv.slice(2);
const folder = (start) => path.join(site, "_static", fs.readdirSync(path.join(site, "_static")).find((name) => name.startsWith(start)));
const parts = folder("python-"), scripts = folder("live-");
const read = (...names) => new Uint8Array(fs.readFileSync(path.join(...names)));
const archive = (name) => new Uint8Array(zlib.gunzipSync(read(parts, `${name}.pack`)));
const cpu = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1e6; };
const { loadPyodide } = await import(path.join(parts, "pyodide.mjs"));
const { start } = await import(path.join(scripts, "python.mjs"));
const { ask } = await start({
  loadPyodide, folder: parts + path.sep, base: archive("base"), load: (name) => ({ tar: archive(name) }),
  book: read(site, fs.readdirSync(site).find((name) => name.endsWith(".whl"))),
  about: JSON.parse(fs.readFileSync(path.join(parts, "parts.json"))),
});
console.log(JSON.stringify({ ready: cpu() }));
for (const chapter of chapters) {
  ask("fresh");
  const notebook = JSON.parse(fs.readFileSync(path.join(scripts, "chapters", `${chapter}.ipynb`)));
  for (const cell of notebook.cells.filter((cell) => cell.cell_type === "code")) {
    const before = cpu();
    const { outputs, ok } = ask("run", [cell.source].flat().join(""));
    const claims = outputs.map((output) => output.metadata?.claim).filter(Boolean);
    const errors = outputs.filter((output) => output.output_type === "error").map(({ ename, evalue }) => `${ename}: ${evalue}`);
    console.log(JSON.stringify({ chapter, cell: cell.id, ok, cpu: cpu() - before, claims, errors }));
  }
}
