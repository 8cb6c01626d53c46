"""Which cells of a notebook one of them needs to have been run before it."""

import ast
import builtins
from collections.abc import (
    Collection,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    MutableSequence,
    MutableSet,
    Set,
)
from dataclasses import dataclass, field, replace
from functools import cache
from inspect import isbuiltin
from itertools import pairwise, permutations
from opcode import opmap
from types import CodeType

OWN = ("gfbook", "gfcore")
STILL = (*OWN, "matplotlib")  # packages whose functions change nothing that they are given
# Nor do functions of Python itself, but for two.
QUIET = {name for name, known in vars(builtins).items() if isbuiltin(known)} | {"display"}
QUIET -= {"setattr", "delattr"}
FREE = {"exec", "eval", "globals", "locals", "*"}  # they may read and change any name
# Methods that change what they are called for, whatever is done with their value.
CHANGING = {
    name
    for kind in (MutableSequence, MutableSet, MutableMapping)
    for name in {*dir(kind)}.difference(*map(dir, kind.__bases__))
}
NONE: Mapping[str, "Seen"] = {}
ACTS = {
    opmap[f"{act}_{where}"]: (act, where)
    for act in ("LOAD", "STORE", "DELETE")
    for where in ("NAME", "GLOBAL")
}


@dataclass
class Effects:
    """What code does in place to what names stand for."""

    stored: set[str] = field(default_factory=set)  # in an attribute or an item
    changed: set[str] = field(default_factory=set)  # by a method or a call
    # To a call for what that does: the name that it begins with, and each that it is given.
    given: set[tuple[str, str]] = field(default_factory=set)
    passed: set[tuple[str, str]] = field(default_factory=set)  # to a call, each with each
    parts: set[tuple[str, str]] = field(default_factory=set)  # names for a part of another


@dataclass
class Function:
    """What a function of a cell does when it is called."""

    read: set[str]
    made: set[str]
    arguments: set[str]
    effects: Effects


@dataclass(frozen=True)
class Seen:
    """What code did when it ran: the names that it changed, and those of which this is all."""

    changed: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()


@dataclass
class Names:
    """What the code of a cell does with names."""

    made: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)  # before it makes them itself
    anew: set[str] = field(default_factory=set)
    now: set[str] = field(default_factory=set)  # as it runs, and not when a function is called
    functions: dict[str, Function] = field(default_factory=dict)
    effects: Effects = field(default_factory=Effects)
    imported: set[str] = field(default_factory=set)
    quiet: set[str] = field(default_factory=set)
    generators: set[str] = field(default_factory=set)
    seen: Seen = Seen()


def _base(node: ast.AST, calls: bool = True) -> Iterator[str]:
    """Yield the name that an expression begins with, of several in brackets all."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred | ast.Call):
        if isinstance(node, ast.Call) and not (calls and isinstance(node.func, ast.Attribute)):
            return  # what it gives is new
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Tuple | ast.List):
        for part in node.elts:
            yield from _base(part, calls)


def _arguments(call: ast.Call) -> set[str]:
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return {name for node in given for name in _base(node)}


def _thrown(node: ast.AST) -> ast.Call | None:
    """Return a call whose value is thrown away: it is there for what it does."""
    match node:
        case ast.Expr(value=value) | ast.Assign(targets=[ast.Name(id="_")], value=value):
            value = value.value if isinstance(value, ast.Await) else value
            return value if isinstance(value, ast.Call) else None
    return None


def _see(node: ast.AST, effects: Effects) -> None:
    """Note what one piece of code does in place, as far as its form tells."""
    match node:
        case ast.Attribute(ctx=ast.Store() | ast.Del()):
            effects.stored.update(_base(node))
        case ast.Subscript(ctx=ast.Store() | ast.Del()):
            effects.stored.update(_base(node))
        case ast.AugAssign(target=target, value=value):
            if not isinstance(value, ast.List | ast.ListComp):  # an array, in place
                effects.changed.update(_base(target))
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Tuple) or not isinstance(value, ast.Tuple | ast.List):
                    effects.parts |= {
                        (a, b) for a in _base(target) for b in _base(value, False)
                    }
        case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
            effects.parts |= {(a, b) for a in _base(target) for b in _base(value, False)}
        case ast.Call(func=func, keywords=keywords):
            for keyword in keywords:
                if keyword.arg == "out":
                    effects.changed.update(_base(keyword.value))
            match func:
                case ast.Attribute(attr=name) if name in CHANGING:
                    effects.changed.update(_base(func))
                case ast.Name(id="next"):
                    effects.changed |= _arguments(node)
            names = {*_base(func), *_arguments(node)}  # such as of map(f, x)
            effects.passed.update(permutations(names, 2))
    if call := _thrown(node):
        begin = next(_base(call.func), "")
        effects.given |= {(begin, name) for name in _arguments(call)}
        if isinstance(call.func, ast.Attribute):
            effects.changed.update(_base(call.func))


def _acts(code: CodeType, deep: bool = True) -> Iterator[tuple[str, str]]:
    """Yield what code loads, stores or deletes of the names of a cell, and no local ones.

    `dis` would tell that as well, in ten times as long.
    """
    found, argument = set(), 0
    for op, low in zip(code.co_code[::2], code.co_code[1::2], strict=True):
        argument = argument << 8 | low
        if op in ACTS:
            # The lowest bit is a flag where a name is looked for in the module alone.
            found.add((*ACTS[op], code.co_names[argument >> (op == opmap["LOAD_GLOBAL"])]))
        if op != opmap["EXTENDED_ARG"]:
            argument = 0
    own = {name for act, where, name in found if (act, where) == ("STORE", "NAME")}
    for act, where, name in found:
        if where == "GLOBAL" or name not in own or code.co_name == "<module>":
            yield act, name
    for part in _inside(code) if deep else ():
        yield from _acts(part)


def _inside(code: CodeType) -> list[CodeType]:
    return [part for part in code.co_consts if isinstance(part, CodeType)]


def _called(statement: ast.stmt) -> list[str]:
    """Return the names of functions that a statement makes.

    A function that is given to another is called by that, and not by its name.
    """
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return [name]
        case ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=[target], value=ast.Lambda() | ast.Tuple()):
            return [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]
    return []


def _anew(statement: ast.stmt) -> set[str]:
    """Return the names that a statement gives something new."""
    if not isinstance(statement, ast.Assign):
        return {*_called(statement)}
    parts = (node for target in statement.targets for node in ast.walk(target))
    return {
        node.id
        for node in parts
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _drawn(node: ast.AST) -> Iterator[str]:
    """Yield the names of generators of random numbers that code makes."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            if "default_rng" in ast.unparse(value):
                yield name
        case ast.Assign(targets=[target], value=ast.Call(func=ast.Attribute(attr="spawn"))):
            yield from _base(target)


def _imported(node: ast.AST, cell: Names) -> None:
    """Note the names that an import binds, and which of these change nothing."""
    if not isinstance(node, ast.Import | ast.ImportFrom):
        return
    for alias in node.names:
        name = (alias.asname or alias.name).partition(".")[0]
        origin = (isinstance(node, ast.ImportFrom) and node.module) or alias.name
        cell.imported.add(name)
        if origin.partition(".")[0] in STILL:
            cell.quiet.add(name)


@cache  # a notebook's cells are asked for again and again
def names(source: str) -> Names:
    r"""Return the names that code makes or changes, and those that it reads from before.

    Told apart are those it makes anew, so that no cell before it matters; those that an import
    binds; generators of random numbers; and what its functions do when they are called.

    Raises
    ------
    SyntaxError
        If it is no Python.

    Examples
    --------
    >>> cell = names("x[0] = y.T; z.append(1); f(g, h(a), out=b)")
    >>> cell.effects.stored, sorted(cell.effects.changed), sorted(cell.effects.given)
    ({'x'}, ['b', 'z'], [('f', 'b'), ('f', 'g')])
    >>> cell = names("a = [b for b in c]; f = lambda b, e=e: a + b + d")
    >>> sorted(cell.anew), sorted(cell.read), sorted(cell.functions["f"].read)
    (['a', 'f'], ['c', 'd', 'e'], ['a', 'd'])
    >>> cell = names("class A:\n    b = c\nf = lambda d: d\nprint([d for d in e], d)")
    >>> sorted(cell.made), sorted(cell.read - {"__name__"})
    (['A', 'f'], ['c', 'd', 'e', 'print'])
    """
    cell = Names()
    tree = ast.parse(source)
    for statement in tree.body:
        whole = ast.Module([statement], [])
        code = compile(whole, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        deep, functions = {*_acts(code)}, _called(statement) if _inside(code) else []
        effects = Effects() if functions else cell.effects
        before = {*cell.imported}
        for node in ast.walk(statement):
            _imported(node, cell)
            _see(node, effects)
            cell.generators.update(_drawn(node))
        if functions:
            inside = {act for part in _inside(code) for act in _acts(part)}
            made = Function(
                {name for act, name in inside if act == "LOAD"},
                {name for act, name in inside if act != "LOAD"},
                {node.arg for node in ast.walk(statement) if isinstance(node, ast.arg)},
                effects,
            )
            cell.functions.update((name, made) for name in functions)
            if isinstance(statement, ast.ClassDef):  # which runs at once
                cell.effects.stored |= effects.stored
                cell.effects.changed |= effects.changed
        top = {*_acts(code, deep=False)} if functions else deep
        cell.read |= {name for act, name in deep if act == "LOAD"} - cell.anew
        cell.now |= {name for act, name in top if act == "LOAD"}
        cell.made |= {name for act, name in top if act != "LOAD"} - (cell.imported - before)
        cell.anew |= _anew(statement)
    cell.generators &= cell.made  # and none of a function's own
    return cell


def _names(source: str, seen: Mapping[str, Seen]) -> Names:
    """Return those names, or none of what is no Python: it changes nothing."""
    try:
        return replace(names(source), seen=seen.get(source, Seen()))
    except SyntaxError:
        return Names()


class Notebook:
    """Cells by their names: what each changes, and which of those before it one needs.

    What imports alone bind, modules, are not changed where their functions are called; a
    generator of random numbers is wherever it is read; and what a function changes, of what it
    is given too, is changed where it is called.
    """

    def __init__(self, cells: Iterable[Names]) -> None:
        self.cells = cells = [*cells]
        join = frozenset[str]().union
        self.drawn = join(*(cell.generators for cell in cells))
        made = join(*(cell.made for cell in cells))
        self.modules = join(*(cell.imported for cell in cells)) - made
        # Calls that begin with these change nothing that they are given: methods of the
        # notebook's own values change those alone, and its functions are looked into.
        parts = [pair for cell in cells for pair in cell.effects.parts]
        self.quiet = join(made, QUIET, *(cell.quiet for cell in cells)) - self.drawn
        self.quiet -= {name for name, of in parts if of in self.modules - self.quiet}
        self.all = join(*(cell.made | cell.read | cell.imported for cell in cells))
        self.bad: set[str] = set()  # functions that change what they are given
        self.called: dict[str, set[str]] = {}  # what others change
        self._functions()
        self.changed = [*map(self.changes, cells)]
        self.read = [self.all if cell.now & FREE else cell.read for cell in cells]

    def _functions(self) -> None:
        """Learn what functions change; they call each other, so until nothing is new."""
        each = [pair for cell in self.cells for pair in cell.functions.items()]
        size = -1
        while size != (size := len(self.bad) + sum(map(len, self.called.values()))):
            for name, function in each:
                touched = self._touched(function.effects)
                if touched & function.arguments:
                    self.bad.add(name)
                changed = self.called.setdefault(name, set())
                changed |= function.made | (touched & function.read - function.arguments)
                changed |= self._through(function.read)

    def _touched(self, effects: Effects) -> set[str]:
        """Return the names that code changes in place, of parts also those of the whole."""
        found = effects.stored | effects.changed
        found.update(name for begin, name in effects.given if begin not in self.quiet)
        found |= {name for function, name in effects.passed if function in self.bad}
        while more := {of for name, of in effects.parts if name in found} - found:
            found |= more
        return found - (self.modules - effects.stored)

    def _through(self, read: Set[str]) -> Set[str]:
        """Return what changes by the names that are read: by calls, and of generators."""
        changed = (self.called[name] for name in read if name in self.called)
        return (self.drawn & read).union(*changed)

    def changes(self, cell: Names) -> Set[str]:
        """Return the names that a cell changes."""
        if (cell.now | cell.imported) & FREE:
            return self.all
        touched = self._touched(cell.effects) & (cell.made | cell.read)
        maybe = (touched | self._through(cell.now)) - cell.seen.known
        return cell.made | cell.imported | maybe | cell.seen.changed

    def before(self, index: int, all_imports: bool) -> list[int]:
        """Return the places of those that one needs, in their order, and its own."""
        called = self.read[index]
        while True:
            wanted, found, then = called, [index], called
            for place in range(index - 1, -1, -1):
                cell = self.cells[place]
                names = self.changed[place] & wanted
                if names or (all_imports and cell.imported):
                    wanted = (wanted - cell.anew) | self.read[place]
                    found.append(place)
                    # What a function reads is what it is when that is called, not made.
                    then = then.union(
                        *(cell.functions[n].read for n in names if n in cell.functions)
                    )
            if then == called:
                return found[::-1]
            called = then


def needs(sources: list[str], index: int, seen: Mapping[str, Seen] = NONE) -> list[int]:
    """Return the places of the cells that one needs, in their order, and its own.

    Those that import are needed by all. Where names cannot be known, all cells before are
    needed. `seen` has what each code did when it ran.

    Examples
    --------
    >>> needs(["import numpy as np", "a = 1", "b = 2", "c = a + 1", "c"], 4)
    [0, 1, 3, 4]
    >>> needs(["r = np.random.default_rng(0)", "r.normal()", "f(r)", "r"], 3)
    [0, 1, 2, 3]
    >>> cells = ["import numpy as np", "x = [2, 1]", "np.sort(x)", "np.put(x, 0, 3)", "x"]
    >>> needs(cells, 4), needs(cells, 4, {"np.sort(x)": Seen(known=frozenset("x"))})
    ([0, 1, 2, 3, 4], [0, 1, 3, 4])
    >>> needs(["f = lambda: a", "a = 2", "b = a", "f()"], 3)
    [0, 1, 3]
    """
    try:
        for source in sources[: index + 1]:
            names(source)
    except SyntaxError:
        return [*range(index + 1)]
    return Notebook(_names(source, seen) for source in sources[: index + 1]).before(index, True)


def uses(sources: list[str], seen: Mapping[str, Seen] = NONE) -> list[list[int]]:
    """Return for each cell the places of those whose names it reads, or that made those.

    Examples
    --------
    >>> uses(["import f", "a = 1", "b = f.g(a)", "a +", "c = 2", "b + c"])
    [[], [], [0, 1], [], [], [0, 1, 2, 4]]
    """
    notebook = Notebook(_names(source, seen) for source in sources)
    return [notebook.before(index, False)[:-1] for index in range(len(sources))]


def due(
    sources: list[str],
    index: int,
    log: list[tuple[int, str]],
    well: Collection[int],
    seen: Mapping[str, Seen] = NONE,
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
    found = needs(sources, index, seen)
    last = {place: turn for turn, (place, _) in enumerate(log) if place in well}
    turns = [last.get(place, len(log)) for place in found[:-1]] + [len(log)]
    first = turns.index(len(log))
    first = min([first, *(n for n, (a, b) in enumerate(pairwise(turns), 1) if b < a)])
    notebook = Notebook(_names(source, seen) for source in sources)
    for n in range(first - 1, -1, -1):
        wanted = frozenset().union(*(notebook.read[place] for place in found[first:]))
        inside = {(place, sources[place]) for place in found[n + 1 : -1]}
        since = [
            notebook.changes(_names(code, seen))
            for place, code in log[turns[n] + 1 :]
            if (place, code) not in inside
        ]
        if notebook.changed[found[n]] & wanted & frozenset().union(*since):
            first = n
    return found[first:]
