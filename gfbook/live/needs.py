"""Which cells of a notebook one of them needs to have been run before it."""

import ast
from collections.abc import Iterator
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


def names(source: str) -> Names:
    """Return the names that code makes or changes, and those that it reads.

    Raises
    ------
    SyntaxError
        If it is no Python.

    Examples
    --------
    >>> made, read, *_ = names("x[0] = y.T; z.append(1)")
    >>> sorted(made), sorted(read)
    (['x', 'z'], ['x', 'y', 'z'])
    """
    made: set[str] = set()
    read: set[str] = set()
    generators: set[str] = set()
    imports = False
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                read.add(name)
            case ast.Name(id=name):
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
            case ast.AugAssign(target=ast.Name(id=name)):
                read.add(name)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if "default_rng" in ast.unparse(value):
                    generators.add(name)
    return Names(frozenset(made), frozenset(read), imports, frozenset(generators))


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
