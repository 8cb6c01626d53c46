"""Which cells of a notebook one of them needs to have been run before it."""

import ast
import dis
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from types import CodeType
from typing import NamedTuple


class Names(NamedTuple):
    """What the code of a cell does with names."""

    made: frozenset[str]
    read: frozenset[str]
    anew: frozenset[str] = frozenset()
    functions: Mapping[str, frozenset[str]] = {}
    called: frozenset[str] = frozenset()
    imported: frozenset[str] = frozenset()
    generators: frozenset[str] = frozenset()


def _base(node: ast.AST) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Name):
        yield node.id


def _inside(code: CodeType) -> list[CodeType]:
    return [part for part in code.co_consts if isinstance(part, CodeType)]


def _outer(code: CodeType, kind: str) -> Iterator[str]:
    """Yield the names of a cell that code loads, stores or deletes, and no local ones."""
    steps = [*dis.get_instructions(code)]
    stored = {step.argval for step in steps if step.opname == "STORE_NAME"}
    own = stored if code.co_name != "<module>" else set()  # of a class
    for step in steps:
        if re.fullmatch(f"({kind})_(NAME|GLOBAL)", step.opname) and step.argval not in own:
            yield step.argval
    for part in _inside(code):
        yield from _outer(part, kind)


def _compiled(*statements: ast.stmt) -> CodeType:
    return compile(ast.Module([*statements], []), "cell", "exec")


def _functions(tree: ast.Module) -> Iterator[tuple[str, set[str]]]:
    """Yield the names of functions, each with those that it reads when it is called.

    A function that is given to another is called by that, and not by its name.
    """
    for statement in tree.body:
        match statement:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                targets = [name]
            case ast.Assign(targets=[target], value=ast.Lambda() | ast.Tuple()):
                targets = [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]
            case _:
                continue
        inside = _inside(_compiled(statement))
        read = {name for part in inside for name in _outer(part, "LOAD")}
        yield from ((name, read) for name in targets if inside)


def _in_turn(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Return the names that code reads before it assigns them itself, and those it assigns."""
    read: set[str] = set()
    assigned: set[str] = set()
    for statement in tree.body:
        read |= {*_outer(_compiled(statement), "LOAD")} - assigned
        match statement:
            case ast.Assign(targets=targets):
                parts = (node for target in targets for node in ast.walk(target))
                assigned |= {
                    node.id
                    for node in parts
                    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
                }
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                assigned.add(name)
    return read, assigned


@cache  # a notebook's cells are asked for again and again
def names(source: str) -> Names:
    r"""Return the names that code makes or changes, and those that it reads from before.

    Told apart are those it makes anew, so that no cell before it matters; what its functions
    read when they are called; those of which it calls a method for what that does, which may
    change them; those that an import binds; and generators of random numbers.

    Raises
    ------
    SyntaxError
        If it is no Python.

    Examples
    --------
    >>> cell = names("x[0] = y.T; z.append(1)")
    >>> sorted(cell.made), sorted(cell.read), sorted(cell.called), sorted(cell.anew)
    (['x'], ['x', 'y', 'z'], ['z'], [])
    >>> cell = names("a = [b for b in c]; f = lambda b, e=e: a + b + d")
    >>> sorted(cell.anew), sorted(cell.read), sorted(cell.functions["f"])
    (['a', 'f'], ['c', 'd', 'e'], ['a', 'd'])
    >>> cell = names("class A:\n    b = c\nf = lambda d: d\nprint([d for d in e], d)")
    >>> sorted(cell.made), sorted(cell.read - {"__name__"})
    (['A', 'f'], ['c', 'd', 'e', 'print'])
    """
    tree = ast.parse(source)
    code = compile(tree, "cell", "exec")
    stored, outer = ({*_outer(code, kind)} for kind in ("STORE|DELETE", "LOAD|STORE|DELETE"))
    made: set[str] = set()
    called: set[str] = set()
    imported: set[str] = set()
    generators: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case (
                ast.Name(id=name, ctx=ast.Store() | ast.Del())
                | ast.FunctionDef(name=name)
                | ast.ClassDef(name=name)
            ) if name in stored:
                made.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                imported |= {
                    (alias.asname or alias.name).partition(".")[0] for alias in aliases
                }
            case ast.Attribute(ctx=ast.Store()) | ast.Subscript(ctx=ast.Store()):
                made.update(_base(node))
            case ast.Expr(value=ast.Call(func=ast.Attribute())):
                called.update(_base(node.value))
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in stored:
                if "default_rng" in ast.unparse(value):
                    generators.add(name)
    read, anew = _in_turn(tree)
    return Names(
        frozenset(made & outer),
        frozenset(read),
        frozenset(anew),
        {name: frozenset(read) for name, read in _functions(tree)},
        frozenset(called & outer),
        frozenset(imported),
        frozenset(generators),
    )


def _names(source: str) -> Names:
    """Return those names, or none of what is no Python: it changes nothing."""
    try:
        return names(source)
    except SyntaxError:
        return Names(frozenset(), frozenset())


class Notebook:
    """Cells by their names: what each changes, and which of those before it one needs.

    What imports alone bind, modules, are not changed where their functions are called; a
    generator of random numbers is wherever it is read.
    """

    def __init__(self, cells: list[Names]) -> None:
        self.cells = cells
        self.drawn = frozenset().union(*(cell.generators for cell in cells))
        bound = frozenset().union(*(cell.imported for cell in cells))
        self.modules = bound.difference(*(cell.made for cell in cells))
        self.changed = [*map(self.changes, cells)]

    def changes(self, cell: Names) -> frozenset[str]:
        """Return the names that a cell changes."""
        made = cell.made | cell.imported
        return made | (cell.called - self.modules) | (cell.read & self.drawn)

    def before(self, index: int, all_imports: bool) -> list[int]:
        """Return the places of those that one needs, in their order, and its own."""
        called = self.cells[index].read
        while True:
            wanted, found, then = called, [index], called
            for place in range(index - 1, -1, -1):
                cell = self.cells[place]
                names = self.changed[place] & wanted
                if names or (all_imports and cell.imported):
                    wanted = (wanted - cell.anew) | cell.read
                    found.append(place)
                    # What a function reads is what it is when that is called, not made.
                    then = then.union(*(cell.functions.get(name, ()) for name in names))
            if then == called:
                return found[::-1]
            called = then


def needs(sources: list[str], index: int) -> list[int]:
    """Return the places of the cells that one needs, in their order, and its own.

    Those that import are needed by all. Where names cannot be known, all cells before are
    needed.

    Examples
    --------
    >>> needs(["import numpy as np", "a = 1", "b = 2", "c = a + 1", "c"], 4)
    [0, 1, 3, 4]
    >>> needs(["r = np.random.default_rng(0)", "r.normal()", "f(r)", "r"], 3)
    [0, 1, 2, 3]
    >>> needs(["import plots", "x = []", "x.append(1)", "plots.name(x)", "plots.draw(x)"], 4)
    [0, 1, 2, 4]
    >>> needs(["f = lambda: a", "a = 2", "b = a", "f()"], 3)
    [0, 1, 3]
    """
    try:
        return Notebook([names(source) for source in sources[: index + 1]]).before(index, True)
    except SyntaxError:
        return [*range(index + 1)]


def uses(sources: list[str]) -> list[list[int]]:
    """Return for each cell the places of those whose names it reads, or that made those.

    Examples
    --------
    >>> uses(["import f", "a = 1", "b = f.g(a)", "a +", "c = 2", "b + c"])
    [[], [], [0, 1], [], [], [0, 1, 2, 4]]
    """
    notebook = Notebook([*map(_names, sources)])
    return [notebook.before(index, False)[:-1] for index in range(len(sources))]


def due(
    sources: list[str], index: int, log: list[tuple[int, str]], well: list[int]
) -> list[int]:
    """Return those of the cells that one needs which are to be run for it, and its own.

    `log` has the place and code of all that was run, in turn; `well` the places of those that
    ran to their end as they are now. Each name is to be as in the book's order: one that
    a cell out of this order has written since is made again, with all that follows from it.

    Examples
    --------
    >>> cells = ["a = 1", "a", "a = 2"]
    >>> due(cells, 1, [(0, "a = 1"), (1, "a")], [0, 1])
    [1]
    >>> due(cells, 1, [(0, "a = 1"), (2, "a = 2")], [0, 2])
    [0, 1]
    >>> due(cells, 1, [(1, "a ="), (0, "a = 1"), (2, "a = 2")], [0, 2])  # one was no Python
    [0, 1]
    """
    found = needs(sources, index)
    last = {place: turn for turn, (place, _) in enumerate(log) if place in well}
    turns = [last.get(place, len(log)) for place in found[:-1]] + [len(log)]
    first = turns.index(len(log))
    first = min([first, *(n for n, (a, b) in enumerate(pairwise(turns), 1) if b < a)])
    try:
        notebook = Notebook([names(source) for source in sources[: index + 1]])
    except SyntaxError:
        return found[first:]
    for n in range(first - 1, -1, -1):
        wanted = frozenset().union(*(notebook.cells[place].read for place in found[first:]))
        inside = {(place, sources[place]) for place in found[n + 1 : -1]}
        since = [
            notebook.changes(_names(code))
            for place, code in log[turns[n] + 1 :]
            if (place, code) not in inside
        ]
        if notebook.changed[found[n]] & wanted & frozenset().union(*since):
            first = n
    return found[first:]
