"""What a cell changed of what was there before it: seen, by comparing before and after.

`needs` tells from code what a cell may change; of one that ran this tells what it did, also by
other names and through what a container, a default argument or a view leads to.
"""

import pickle
import random
import sys
import types
import zlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from gfbook.live.needs import OWN, Seen

PLAIN = (int, float, complex, bool, str, bytes, range, slice, type(None), type(...))
STILL = (
    types.ModuleType,
    types.BuiltinFunctionType,
    types.GetSetDescriptorType,
    np.ufunc,
    np.generic,
    np.dtype,
)
DRAWN = (np.random.Generator, np.random.RandomState, random.Random)
IPYTHON = {"In", "Out", "exit", "quit", "get_ipython", "open"}
MOST = 3000  # parts of a value that are looked at


@dataclass
class Parts:
    """The parts of a value that can change, by identity: how each is, and functions' names."""

    marks: dict[int, Any] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    known: bool = True

    def look(self, value: Any) -> None:
        """Note a value and all that it leads to, as far as that is known to be data."""
        ahead = [value]
        while ahead and self.known:
            value = ahead.pop()
            if isinstance(value, (*PLAIN, *STILL)) or id(value) in self.marks:
                continue
            mark, inside = self._mark(value)
            self.marks[id(value)] = mark
            ahead += inside
            self.known &= len(self.marks) <= MOST

    def _mark(self, value: Any) -> tuple[Any, Iterable[Any]]:
        """Return how one part is by itself, and what it leads to."""
        match value:
            case np.ndarray():
                form = value.shape, value.strides, value.dtype.str
                if isinstance(value.base, np.ndarray):
                    return form, [value.base]
                inside = value.ravel().tolist() if value.dtype.hasobject else []
                return (form, zlib.crc32(value.tobytes())), inside
            case dict():
                return [_same(part) for pair in value.items() for part in pair], value.values()
            case list() | tuple() | set() | frozenset() | deque():
                return [_same(part) for part in value], value
            case types.FunctionType():
                if value.__module__ != "__main__":
                    return None, []
                self.names.update(_loads(value.__code__))
                cells = [cell.cell_contents for cell in value.__closure__ or () if _full(cell)]
                more = value.__defaults__, value.__kwdefaults__, value.__dict__
                return id(value.__code__), [*cells, *more]
            case type():
                if value.__module__ != "__main__":
                    return None, []
                held = vars(value).values()
                return [_same(part) for part in held], held
            case types.MethodType():
                return None, [value.__self__, value.__func__]
            case partial():
                return None, [value.func, value.args, value.keywords]
        if isinstance(value, DRAWN):
            return pickle.dumps(value), []
        kind: Any = type(value)
        own = str(kind.__module__).partition(".")[0] in ("__main__", *OWN)
        if not own and kind.__hash__ not in (None, object.__hash__):
            return None, []  # a number or an expression
        self.known &= own and hasattr(value, "__dict__")
        return None, [vars(value), kind] if self.known else []


def _same(part: Any) -> Any:
    return part if isinstance(part, PLAIN) else id(part)


def _full(cell: Any) -> bool:
    with suppress(ValueError):
        return cell.cell_contents is not cell
    return False


def _loads(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield from _loads(part)


def parts(value: Any) -> Parts:
    """Return the parts of a value.

    Examples
    --------
    >>> a = np.zeros(3)
    >>> before = parts([a])
    >>> a.T[1] = 1
    >>> before.marks == parts([a]).marks, parts(iter([a])).known
    (False, False)
    """
    found = Parts()
    found.look(value)
    return found


@dataclass(frozen=True)
class Kept:
    """A state outside all names, and how to put it back."""

    module: str
    get: Callable[[Any], Any]
    put: Callable[[Any, Any], object]


KEPT = [
    Kept(
        "matplotlib", lambda m: dict.copy(m.rcParams), lambda m, v: dict.update(m.rcParams, v)
    ),
    Kept("numpy", lambda m: m.random.get_state(), lambda m, v: m.random.set_state(v)),
    Kept("numpy", lambda m: m.get_printoptions(), lambda m, v: m.set_printoptions(**v)),
    Kept("numpy", lambda m: m.geterr(), lambda m, v: m.seterr(**v)),
    Kept("random", lambda m: m.getstate(), lambda m, v: m.setstate(v)),
    Kept("mpmath", lambda m: m.mp.prec, lambda m, v: setattr(m.mp, "prec", v)),
]


class Outside:
    """What modules hold, and how it was at first."""

    def __init__(self) -> None:
        self.first: dict[str, dict[str, Any]] = {}
        self.states: dict[int, Any] = {}
        self.marks: dict[Any, Any] = {}

    def look(self, names: dict[str, Any]) -> dict[Any, Any]:
        """Return what is other in modules: the book's own, and those that names stand for."""
        own = [name for name in sys.modules if name.partition(".")[0] in OWN]
        bound = [v.__name__ for v in names.values() if isinstance(v, types.ModuleType)]
        marks: dict[Any, Any] = {}
        for name in {*own, *bound} & sys.modules.keys():
            held = vars(sys.modules[name])
            first = self.first.setdefault(name, dict(held))
            if [*map(id, held.values())] != [*map(id, first.values())]:
                marks |= {(name, key): held.get(key, held) for key in _differ(held, first)}
        for place, kept in enumerate(KEPT):
            if module := sys.modules.get(kept.module):
                value = kept.get(module)
                self.states.setdefault(place, value)
                marks[place] = pickle.dumps(value)
        return marks

    def moved(self, names: dict[str, Any]) -> bool:
        """Return whether modules are others than the last time, but for those loaded since."""
        before, self.marks = self.marks, self.look(names)
        places = {*range(len(KEPT))}
        attributes = (before.keys() | self.marks.keys()) - places
        return any(
            before.get(k, before) is not self.marks.get(k, before) for k in attributes
        ) or any(
            before[place] != self.marks[place]
            for place in before.keys() & self.marks.keys() & places
        )

    def restore(self) -> None:
        """Put all back as it was at first."""
        for name in self.first.keys() & sys.modules.keys():  # a cell may take one out
            held, first = vars(sys.modules[name]), self.first[name]
            for key in _differ(held, first):
                if key in first:
                    held[key] = first[key]
                else:
                    del held[key]
        for place, value in self.states.items():
            if module := sys.modules.get(KEPT[place].module):
                KEPT[place].put(module, value)
        self.marks = {place: pickle.dumps(value) for place, value in self.states.items()}


def _differ(held: dict[str, Any], first: dict[str, Any]) -> list[str]:
    """Return what is other in a module, but for what it loads or keeps by itself."""
    return [
        key
        for key in held.keys() | first.keys()
        if held.get(key, held) is not first.get(key, held)
        and not key.startswith("_")
        and not isinstance(held.get(key), types.ModuleType)
    ]


def _public(names: dict[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in names.items() if n[0] != "_" and n not in IPYTHON}


class Watch:
    """The names of a cell, from before it runs until it has run.

    Examples
    --------
    >>> names = {"X": np.eye(2), "a": [], "f": lambda: None}
    >>> names["a"].append(names["X"])
    >>> watch = Watch(names, ["X", "f"])
    >>> names["X"][0] = 5
    >>> sorted(watch.seen().changed), sorted(watch.seen().known)
    (['X', 'a'], ['X', 'f'])
    """

    def __init__(self, names: dict[str, Any], read: Collection[str]) -> None:
        self.names, self.before = names, _public(names)
        self.parts: dict[str, Parts] = {}
        ahead = [*read]
        while ahead:
            if (name := ahead.pop()) in self.before and name not in self.parts:
                self.parts[name] = parts(self.before[name])
                ahead += self.parts[name].names

    def seen(self) -> Seen:
        """Return which names are changed, in place too, and of which all is known."""
        marks = {name: parts(self.before[name]) for name in self.parts}
        changed = {
            part
            for name, then in self.parts.items()
            for part, mark in then.marks.items()
            if marks[name].marks.get(part, mark) != mark
        }
        now = _public(self.names)
        found = {n for n in now.keys() | self.before if now.get(n) is not self.before.get(n)}
        if changed:
            found |= {
                name for name, value in now.items() if changed & parts(value).marks.keys()
            }
        known = {n for n, then in self.parts.items() if then.known and marks[n].known}
        return Seen(frozenset(found), frozenset(known))
