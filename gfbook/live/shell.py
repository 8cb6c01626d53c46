"""The kernel of a page: IPython's shell without a terminal, in a reader's browser.

The script of a worker starts it and asks it, one thing at a time. What a cell imports that was
not loaded at first comes when it is imported.
"""

import ast
import asyncio
import builtins
import importlib
import io
import json
import platform
import re
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from types import ModuleType
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.formatters import DisplayFormatter
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from gfbook.live.needs import OWN, Seen, due, names, needs, uses
from gfbook.live.traces import Outside, Watch

EXPLORER = "application/vnd.gfbook.explorer+json"
# Modules of functions, each loaded when one is called: whole they are half of what SciPy's
# optimization and integration load, and no chapter calls one.
CALLED = (
    "_differentialevolution",
    "_direct_py",
    "_dual_annealing",
    "_linprog",
    "_milp",
    "_qap",
    "_shgo",
)

FRAMES = 30  # at each end of a traceback
MOST = 200_000  # characters that a page is given of what a cell prints
CUT = "… and more, which is not shown\n"

shown: list[dict[str, Any]] = []  # by the cell that runs
explorers: dict[str, Any] = {}


def _show(kind: str, data: dict[str, Any], metadata: Any) -> None:
    """Show data; no page can take any length of text."""
    if len(text := data.get("text/plain", "")) > MOST:
        data = data | {"text/plain": f"{text[:MOST]}\n{CUT}"}
    shown.append({"output_type": kind, "data": data, "metadata": metadata or {}})


class _Publisher(DisplayPublisher):
    def publish(self, data: Any, metadata: Any = None, *_: Any, **options: Any) -> None:
        _show("display_data", data, metadata)

    def clear_output(self, wait: bool = False) -> None:
        shown.clear()


class _Hook(DisplayHook):
    def start_displayhook(self) -> None: ...
    def write_output_prompt(self) -> None: ...
    def finish_displayhook(self) -> None: ...

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        _show("execute_result", format_dict, md_dict)


class _Stream(io.TextIOBase):
    def __init__(self, name: str) -> None:
        self._name = name

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if text and (not shown or shown[-1].get("name") != self._name):
            shown.append({"output_type": "stream", "name": self._name, "text": ""})
        if text and (room := MOST - len(shown[-1]["text"])) > 0:
            shown[-1]["text"] += text if len(text) < room else f"{text[:room]}\n{CUT}"
        return len(text)


class _Formatter(DisplayFormatter):
    def format(self, obj: Any, include: Any = None, exclude: Any = None) -> Any:
        # The data of a figure, which a page offers for download, would lay it out once more.
        without = {*(exclude or ()), "text/csv"}
        return super().format(obj, include, without)  # type: ignore[no-untyped-call]


class _Shell(InteractiveShell):
    def enable_gui(self, gui: Any = None) -> None: ...

    def enable_matplotlib(self, gui: Any = None) -> Any:
        return super().enable_matplotlib("inline")  # type: ignore[no-untyped-call]

    def system(self, *_: Any) -> Any:
        raise OSError("a page has no shell")

    getoutput = system

    def ask_exit(self) -> None:
        print("To end Python, press Stop.")

    def init_display_formatter(self) -> None:
        self.display_formatter = _Formatter(parent=self)
        self.configurables.append(self.display_formatter)  # type: ignore[arg-type]

    def _get_exc_info(self, exc_tuple: Any = None) -> Any:
        found = super()._get_exc_info(exc_tuple)  # type: ignore[no-untyped-call]
        _shortened(found[1])
        return found

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        shown.append(
            {
                "output_type": "error",
                "ename": etype.__name__,
                "evalue": str(evalue),
                "traceback": stb,
            }
        )


class Called(ModuleType):
    """Stands for a module of functions until one of them is called.

    Examples
    --------
    >>> sys.modules["textwrap"] = Called("textwrap")
    >>> from textwrap import dedent
    >>> dedent("  it is loaded"), type(sys.modules["textwrap"]).__name__
    ('it is loaded', 'module')
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*given: Any, **more: Any) -> Any:
            if sys.modules[self.__name__] is self:
                del sys.modules[self.__name__]
            return getattr(importlib.import_module(self.__name__), name)(*given, **more)

        return call


class Later:
    """Finds the modules of archives that were not loaded at first, and has them loaded."""

    def __init__(self, archives: dict[str, list[str]], load: Callable[[str], None]) -> None:
        self.archives, self.load = dict(archives), load

    def archive(self, name: str) -> str | None:
        """Return which archive a module is in that is still to be loaded."""
        return next(
            (
                archive
                for archive, modules in self.archives.items()
                if any(f"{name}.".startswith(f"{module}.") for module in modules)
            ),
            None,
        )

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Load the archive of a module that was not found, and find it."""
        if (archive := self.archive(name)) is None:
            return None
        try:
            self.load(archive)
        except Exception as error:  # whatever the browser says
            said = f"{name} could not be loaded; is there a connection? ({error})"
            raise ImportError(said) from None
        del self.archives[archive]
        importlib.invalidate_caches()
        return PathFinder.find_spec(name, path)


def imported(source: str) -> Iterator[str]:
    """Yield the modules that code imports, as far as one can see.

    Examples
    --------
    >>> sorted(imported("import numpy as np; from scipy import stats"))
    ['numpy', 'scipy', 'scipy.stats']
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


class Kernel:
    """What the script of the worker asks, by names of methods; all that passes is JSON."""

    def __init__(self, archives: dict[str, list[str]], load: Callable[[str], None]) -> None:
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "NoColor"
        self.shell = _Shell.instance(
            config=config, display_pub_class=_Publisher, displayhook_class=_Hook
        )
        self.shell.events.register("post_execute", _figures)
        formatter = self.shell.display_formatter
        assert formatter is not None
        formatter.mimebundle_formatter.for_type_by_name("gfbook.explore", "Explorer", _explorer)
        builtins.input = sys.breakpointhook = _asked
        self.shell.loop_runner = _awaited
        asyncio.run = lambda main, **_: _awaited(main)
        self.seen: dict[str, Seen] = {}  # what each code did when it ran
        self.outside = Outside()
        self.movers: set[str] = set()  # code that changed it, ever
        self.moved: list[str] = []  # and since it was as at first, in turn
        self.finder = Later(archives, load)
        sys.meta_path.append(self.finder)
        self.outside.moved(self.shell.user_ns)
        for module in CALLED:
            name = f"scipy.optimize.{module}"
            sys.modules.setdefault(name, Called(name))

    def ask(self, what: str, given: str) -> str:
        """Answer a request."""
        return json.dumps(getattr(self, what)(*json.loads(given)), default=str)

    def later(self, source: str) -> list[str]:
        """Return the archives that a cell will import from, its own modules' imports too."""
        found: set[str] = set()
        ahead, seen = [*imported(source)], set()
        while ahead:
            if (name := ahead.pop()) in seen:
                continue
            seen.add(name)
            if archive := self.finder.archive(name):
                found.add(archive)
            elif name.partition(".")[0] in OWN and name not in sys.modules:
                spec = find_spec(name) if name.count(".") == 1 else None
                if spec and spec.origin:
                    ahead += imported(Path(spec.origin).read_text(encoding="utf-8"))
        return sorted(found)

    def warm(self, sources: list[str]) -> None:
        """Import what cells will, but for what is loaded when it is wanted."""
        for name in {name for source in sources for name in imported(source)}:
            above = [*accumulate(name.split("."), "{}.{}".format)]
            if not any(self.later(f"import {module}") for module in above):
                _imports(name)
                with suppress(ImportError):  # of a module, and none itself
                    importlib.import_module(name)
        self.outside.moved(self.shell.user_ns)

    def run(self, source: str) -> dict[str, Any]:
        """Run a cell: what it showed, whether it began and got to its end, where it did not."""
        shown.clear()
        began = time.perf_counter()
        _imports(source)
        code = self._plain(source)
        watch = self._watch(code)
        with redirect_stdout(_Stream("stdout")), redirect_stderr(_Stream("stderr")):
            result = self.shell.run_cell(source, store_history=True)  # sees a semicolon
        error = result.error_before_exec or result.error_in_exec
        self._saw(code, watch.seen(), self.outside.moved(self.shell.user_ns))
        line = _line(error) if error else None
        skipped = source[: len(source) - len(source.lstrip())].count("\n")  # by IPython
        return {
            "outputs": list(shown),
            "ok": result.success,
            "began": result.error_before_exec is None,
            "line": line and line + skipped,
            "seconds": time.perf_counter() - began,
        }

    def _watch(self, code: str) -> Watch:
        with suppress(SyntaxError):
            return Watch(self.shell.user_ns, names(code).read)
        return Watch(self.shell.user_ns, ())

    def _saw(self, code: str, seen: Seen, moved: bool) -> None:
        """Note what code did, of modules by the names that it has for them."""
        changed = seen.changed | self.seen.get(code, seen).changed
        if moved:
            self.movers.add(code)
            self.moved.append(code)
            with suppress(SyntaxError):
                mine = names(code).read | names(code).imported
                known = self.shell.user_ns
                changed |= {n for n in mine if isinstance(known.get(n), ModuleType)}
        self.seen[code] = Seen(changed, seen.known)

    def begin(
        self, sources: list[str], index: int, log: list[tuple[int, str]], well: list[int]
    ) -> list[int]:
        """Return the cells to run for one; modules are then as they are before the first.

        What cells changed in those cannot be made again by running less than all that it needs.
        """
        codes = [*map(self._plain, sources)]
        with suppress(SyntaxError):
            found = needs(codes, index, self.seen)
            read = set[str]().union(*(names(codes[place]).read for place in found))
            moved = [code for code in self.moved if self.seen[code].changed & read]
            if moved != [codes[place] for place in found[:-1] if codes[place] in self.movers]:
                self._restore()
                log = []
        return self.due(sources, index, log, well if log else [])

    def _restore(self) -> None:
        self.outside.restore()
        self.moved.clear()

    def due(
        self, sources: list[str], index: int, log: list[tuple[int, str]], well: list[int]
    ) -> list[int]:
        """Return the cells to run for one: it alone, if it is no Python."""
        try:
            code = self.shell.transform_cell(sources[index])
            compile(code, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        except (SyntaxError, ValueError):
            return [index]
        ran = [(place, self._plain(code)) for place, code in log]
        return due([*map(self._plain, sources)], index, ran, well, self.seen)

    def uses(self, sources: list[str]) -> list[list[int]]:
        """Return the cells that each one has names from, as far as their code tells."""
        return uses([*map(self._plain, sources)], self.seen)

    def _plain(self, source: str) -> str:
        """Return the code of a cell without its magics, with that which one of them runs."""
        if not re.search(r"[%?]|!(?!=)", source):
            return source
        code = re.sub(r"\A\s*%%.*\n?|^\s*%(time|prun)\s+(?!-)", "", source, flags=re.M)
        try:
            return str(self.shell.transform_cell(code))
        except SyntaxError:
            return source

    def fresh(self) -> None:
        """Forget all names, for another notebook."""
        self.shell.reset(new_session=False)
        self._restore()
        explorers.clear()

    def answer(self, name: str, position: list[float]) -> Any:
        """Return the state of an explorer at a position of its controls."""
        return explorers[name].answer(position)

    def play(self, source: str) -> None:
        """Take the module of a playground."""
        from gfbook.live.playground import Playground

        path = Path("playground.py")
        path.write_text(source, encoding="utf-8")
        self.playground = Playground(path)

    def show(self, given: dict[str, str]) -> Any:
        """Return what a playground shows for what is typed."""
        return self.playground.show(given)

    def take(self, what: str) -> str:
        """Return what a playground showed last, as CSV or SVG."""
        return self.playground.take(what)

    def versions(self) -> dict[str, str]:
        """Return what runs."""
        loaded = {name: sys.modules.get(name) for name in ("numpy", "scipy", "sympy")}
        known = {name: module.__version__ for name, module in loaded.items() if module}
        return {"python": platform.python_version(), "platform": sys.platform} | known


def _asked(*_: Any, **more: Any) -> Any:
    raise EOFError("a page cannot be asked while a cell runs: write the value into the cell")


def _awaited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run what a cell awaits, as far as it waits for nothing outside."""
    try:
        while True:
            if coroutine.send(None) is not None:
                coroutine.throw(RuntimeError("a page cannot wait: nothing runs beside a cell"))
    except StopIteration as end:
        return end.value


def _imports(source: str) -> None:
    """Keep Matplotlib from describing each of its classes, which is half of its import."""
    if "matplotlib" not in source or "matplotlib.artist" in sys.modules:
        return
    from matplotlib.artist import Artist

    Artist._update_set_signature_and_docstring = classmethod(  # type: ignore[attr-defined]
        lambda cls: None
    )


def _figures() -> None:
    """Show the figures of a cell, before pyplot's hook draws them for a window as well."""
    if inline := sys.modules.get("matplotlib_inline.backend_inline"):
        inline.flush_figures()


def _explorer(explorer: Any) -> dict[str, Any]:
    explorers[explorer.name] = explorer
    state = {"spec": explorer.spec, "position": explorer.first, "state": explorer.start}
    return {
        "text/plain": f"{explorer.name}: {explorer.start['text']}",
        EXPLORER: {"name": explorer.name, **state},
    }


def _shortened(error: BaseException | None) -> None:
    """Leave of the frames of an error, and of those before it, the first and the last.

    A recursion may have a million, of which IPython would look at each.
    """
    while error is not None:
        frames, trace = [], error.__traceback__
        while trace:
            frames.append(trace)
            trace = trace.tb_next
        if len(frames) > 2 * FRAMES:
            frames[FRAMES - 1].tb_next = frames[-FRAMES]
        error = error.__cause__ or error.__context__


def _line(error: BaseException) -> int | None:
    """Return the line of a cell where it failed, and not of another that it calls."""
    line, cell, trace = None, None, error.__traceback__
    while trace:
        name = trace.tb_frame.f_code.co_filename
        if name.startswith("<ipython-input") and (cell := cell or name) == name:
            line = trace.tb_lineno
        trace = trace.tb_next
    return error.lineno if line is None and isinstance(error, SyntaxError) else line
