"""Which cells of a notebook one of them needs to have been run before it."""

import ast
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from symtable import SymbolTable, symtable
from typing import NamedTuple


class Names(NamedTuple):
    """What the code of a cell does with names."""

    made: frozenset[str]
    read: frozenset[str]
    imports: bool
    generators: frozenset[str]


def _base(node: ast.AST) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Name):
        yield node.id


def _outer(table: SymbolTable) -> Iterator[str]:
    """Yield the names of a cell that are not of a function or comprehension within it."""
    for child in table.get_children():
        yield from (symbol.get_name() for symbol in child.get_symbols() if symbol.is_global())
        yield from _outer(child)


def _read(tree: ast.Module) -> Iterator[str]:
    """Yield the names that code reads before it assigns them itself."""
    assigned: set[str] = set()
    for statement in tree.body:
        for node in ast.walk(statement):
            match node:
                case (
                    ast.Name(id=name, ctx=ast.Load()) | ast.AugAssign(target=ast.Name(id=name))
                ) if name not in assigned:
                    yield name
        if isinstance(statement, ast.Assign):
            parts = (node for target in statement.targets for node in ast.walk(target))
            assigned |= {
                node.id
                for node in parts
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }


@cache  # a notebook's cells are asked for again and again
def names(source: str) -> Names:
    """Return the names that code makes or changes, and those that it reads from before.

    Raises
    ------
    SyntaxError
        If it is no Python.

    Examples
    --------
    >>> made, read, *_ = names("x[0] = y.T; z.append(1)")
    >>> sorted(made), sorted(read)
    (['x', 'z'], ['x', 'y', 'z'])
    >>> made, read, *_ = names("a = [b for b in c]; a")
    >>> sorted(made), sorted(read)
    (['a'], ['c'])
    """
    tree, table = ast.parse(source), symtable(source, "cell", "exec")
    outer = {symbol.get_name() for symbol in table.get_symbols()} | {*_outer(table)}
    made: set[str] = set()
    generators: set[str] = set()
    imports = False
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                made.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                made.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                imports = True
                made |= {(alias.asname or alias.name).partition(".")[0] for alias in aliases}
            case ast.Attribute(ctx=ast.Store()) | ast.Subscript(ctx=ast.Store()):
                made.update(_base(node))
            case ast.Expr(value=ast.Call(func=ast.Attribute())):
                made.update(_base(node.value))
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if "default_rng" in ast.unparse(value):
                    generators.add(name)
    read = outer.intersection(_read(tree))
    return Names(frozenset(made & outer), frozenset(read), imports, frozenset(generators))


def needs(sources: list[str], index: int) -> list[int]:
    """Return the places of the cells that one needs, in their order, and its own.

    Those that import are needed by all. A generator of random numbers is changed wherever it
    is read: who needs it needs all that drew from it. Where that cannot be known, all cells
    before are needed.

    Examples
    --------
    >>> needs(["import numpy as np", "a = 1", "b = 2", "c = a + 1", "c"], 4)
    [0, 1, 3, 4]
    >>> needs(["r = np.random.default_rng(0)", "r.normal()", "f(r)", "r"], 3)
    [0, 1, 2, 3]
    """
    try:
        cells = [names(source) for source in sources[: index + 1]]
    except SyntaxError:
        return [*range(index + 1)]
    drawn = frozenset().union(*(cell.generators for cell in cells))
    wanted, found = cells[index].read, [index]
    for place in range(index - 1, -1, -1):
        cell = cells[place]
        if cell.imports or (cell.made | cell.read & drawn) & wanted:
            wanted |= cell.read
            found.append(place)
    return found[::-1]


def _changed(code: str, drawn: frozenset[str]) -> frozenset[str]:
    """Return the names that code changed when it was run: none if it is no Python."""
    try:
        cell = names(code)
    except SyntaxError:
        return frozenset()
    return cell.made | cell.read & drawn


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
        cells = [names(source) for source in sources[: index + 1]]
    except SyntaxError:
        return found[first:]
    drawn = frozenset().union(*(cell.generators for cell in cells))
    for n in range(first - 1, -1, -1):
        wanted = frozenset().union(*(cells[place].read for place in found[first:]))
        inside = {(place, sources[place]) for place in found[n + 1 : -1]}
        since = [
            _changed(code, drawn)
            for place, code in log[turns[n] + 1 :]
            if (place, code) not in inside
        ]
        if cells[found[n]].made & wanted & frozenset().union(*since):
            first = n
    return found[first:]
