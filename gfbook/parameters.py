"""Parameters of a chapter: a value given is taken as its annotation says, or refused."""

import ast
import math
import re
from pathlib import Path
from typing import Any

import nbformat


def literal(text: str, kind: str) -> Any:
    """Return the value that a text is, as the annotation of a parameter takes it.

    Raises
    ------
    ValueError
        If it is no such value, or not finite.

    Examples
    --------
    >>> literal("1e-3", "float"), literal("0x10", "int"), literal("1, 2", "list[int]")
    (0.001, 16, [1, 2])
    """
    kinds = [part.strip() for part in kind.split("|")]
    if text.strip() in ("None", "none", "null") and "None" in kinds:
        return None
    kind = next(part for part in kinds if part != "None")
    outer, _, inner = kind.rstrip("]").partition("[")
    if outer == "bool":
        return {"true": True, "false": False}[text.strip().lower()]
    if outer == "int":
        return int(text, 0)
    if outer == "float":
        if not math.isfinite(value := float(text)):
            raise ValueError("not finite")
        return value
    if outer == "str":
        quoted = text[:1] in ("'", '"') and text[:1] == text[-1:] and len(text) > 1
        return ast.literal_eval(text) if quoted else text
    if outer in ("list", "tuple"):
        value = ast.literal_eval(text if text.strip()[:1] in ("[", "(") else f"[{text}]")
        parts = inner.replace(", ...", "").split(",") or [""]
        of = [*parts] * (len(value) if len(parts) == 1 else 1)
        found = [
            literal(str(part), k) if k else part for part, k in zip(value, of, strict=True)
        ]
        return found if outer == "list" else tuple(found)
    raise ValueError(f"no value of the kind {kind} can be given here")


def parameters(notebook: Path, given: dict[str, str]) -> dict[str, Any]:
    """Return the values of parameters as their annotations take them, or raise ValueError.

    A number keeps the sign that it has in the chapter, unless the comment beside it ends in a
    condition of its own, such as ``[lam != 0]`` or ``[k >= n]``, which holds for a value of n
    that is given, too.
    """
    cells = nbformat.read(notebook, 4).cells
    source = next((c.source for c in cells if "parameters" in c.metadata.get("tags", ())), "")
    lines = source.splitlines()
    known = {
        node.target.id: node
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    if unknown := sorted(given.keys() - known.keys()):
        names = ", ".join(known)
        raise ValueError(f"no parameter {', '.join(unknown)} in {notebook}; it has {names}")
    values = {
        name: eval(ast.unparse(node.value), {}) for name, node in known.items() if node.value
    }
    found: dict[str, Any] = {}
    for name, text in given.items():
        kind = ast.unparse(known[name].annotation)
        try:
            found[name] = literal(text, kind)
        except (ValueError, KeyError, SyntaxError, TypeError) as error:
            why = f": {error}" if "finite" in str(error) or "kind" in str(error) else ""
            raise ValueError(
                f"{name} is of the kind {kind}, and {text!r} is not{why}"
            ) from None
    for name, default in values.items():
        line = lines[(known[name].end_lineno or 1) - 1]
        rule = re.search(r"\[([^\]]*)\]\s*$", line.partition("#")[2])
        usual = ""
        if isinstance(default, int | float) and not isinstance(default, bool):
            usual = f"{name} {'>' if default > 0 else '>=' if default == 0 else '<'} 0"
        must = rule[1] if rule else usual
        at = [f"{each} = {given[each]}" for each in given if re.search(rf"\b{each}\b", must)]
        if at and not eval(must, {"__builtins__": {}}, values | found):
            raise ValueError(f"{', '.join(at)} makes no sense: {must} is needed")
    return found
