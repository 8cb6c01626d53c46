// The cells of a notebook: their code, what ran of it, and whether what is below each is true. It
// knows neither the page nor Python, which tell it what happens.

const LATE = "made before a change above", BARE = "ran before a change above", MIXED = "what it uses has changed since it ran";
export const seconds = (s) => s < 0.095 ? `${Math.round(1000 * s)} ms` : `${s.toFixed(s < 9.95 ? 1 : 0)} s`;

export class Notebook {
  /** From the names of cells and their code in the book, of which also is what is below them. */
  constructor(book) {
    this.book = book.map(({ original }) => original);
    this.cells = book.map((cell) => ({ ...cell, code: cell.original, uses: [], ran: null, has: null }));
    this.log = []; // what ran in this Python, in turn
    this.cells.forEach((cell) => this.back(cell));
  }

  edit(cell, code) { Object.assign(cell, { code, other: false, missed: false }); }

  /** A reader wants some to run: what was not run before that is not spoken of any more. */
  ask(some) {
    for (const cell of this.cells) cell.missed = false;
    for (const cell of some) cell.asked = true;
    this.wait(some);
  }
  wait(some) { for (const cell of some) cell.due = true; }

  begin(cell) {
    this.running = cell;
    // From now on its names are not what they were.
    Object.assign(cell, { due: false, asked: false, ran: null, had: cell.has, has: cell.code });
    this.log.push([this.cells.indexOf(cell), cell.code]);
  }

  /** It came to its end, or to an error; `explores`: what is below it asks Python. */
  end(cell, { ok, began, seconds: spent, outputs }, explores) {
    const code = cell.has;
    this.running = null;
    Object.assign(cell, { ran: ok ? code : null, shown: code, done: ok ? seconds(spent) : "stopped by an error", failed: !ok, runs: true, silent: !outputs.length, explores, lost: false, mixed: false, behind: false });
    if (!began) return void (cell.has = cell.had); // no Python: it changed no name
    Object.assign(cell, { of: code, from: this.cells.map((each) => each.has ?? each.of), used: null });
  }

  /** Python is gone, with all that it knew. */
  lose() {
    if (this.running) Object.assign(this.running, { shown: this.running.has, done: "stopped", failed: true });
    this.running = null;
    this.fresh();
    this.drop(this.cells);
  }
  /** It knows no name any more. */
  fresh() {
    this.log = [];
    for (const cell of this.cells) Object.assign(cell, { ran: null, has: null, lost: cell.lost || cell.explores });
  }

  /** What still waits is not run, and that is said of what a reader asked for. */
  drop(some) {
    for (const cell of some) if (cell.due) Object.assign(cell, { due: false, missed: cell.asked, asked: false });
  }

  /** A cell is as in the book, with what is below it; in Python its names are what they were. */
  back(cell) {
    const { original } = cell;
    if (cell === this.running) this.running = null;
    for (const state of ["due", "asked", "missed", "other", "failed", "runs", "silent", "explores", "lost", "mixed", "behind"]) cell[state] = false;
    Object.assign(cell, { code: original, of: original, shown: original, from: this.book, done: "", used: null, ran: cell.ran === original ? original : null });
  }

  /** What Python says of the cells that each has names from, and of explorers whose names changed since. */
  learn(uses, behind) {
    this.cells.forEach((cell, n) => {
      cell.uses = uses[n];
      cell.used ??= uses[n];
      cell.behind = behind.includes(n);
    });
  }
  /** Those whose explorers answer. */
  get exploring() { return [...this.cells.keys()].filter((n) => this.cells[n].explores && !this.cells[n].lost); }
  /** An explorer answered: of names that changed since its cell ran, what it shows is neither. */
  answered(cell) { if (this.late(cell) === MIXED) cell.mixed = true; }

  /** Why what is below a cell is not what it would be now, or nothing. */
  late(cell) {
    const { cells } = this, uses = [...cell.uses, ...cell.used ?? []];
    if (cell.code !== cell.of || cell.shown !== cell.of || (cell.bare && !cell.runs)) return "";
    if (cell.mixed || cell.behind || (cell.explores && !cell.lost && uses.some((n) => cells[n].ran !== cell.from[n]))) return MIXED;
    return uses.some((n) => cells[n].of !== cell.from[n]) ? cell.silent ? BARE : LATE : "";
  }

  /** What is said of a cell. */
  said(cell) {
    if (cell === this.running) return "running …";
    if (cell.due) return "queued";
    if (cell.other) return "changed in another tab; undo brings back what was here";
    const late = this.late(cell), as = cell.code === cell.shown;
    const status = as ? cell.done : cell.runs ? "changed since it ran" : cell.code === cell.original ? "" : "changed";
    return [cell.missed && "not run", late && !cell.failed ? "" : status, late, as && cell.lost && "run it again to move it"].filter(Boolean).join("; ");
  }
  /** Whether a cell is as in the book, and nothing is said of it but what it may say there. */
  as(cell) { return cell.code === cell.original && !cell.done && !cell.missed; }
  /** Whether Python ran anything that is not the book's. */
  get foreign() { return this.log.some(([place, code]) => code !== this.book[place]); }
}
