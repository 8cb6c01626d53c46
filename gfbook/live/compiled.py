"""An archive of modules as bytecode, which pack.mjs makes in the very Python that loads it."""

import ast
import importlib.util
import io
import marshal
import zipfile

DATE = (1980, 1, 1, 0, 0, 0)
# Flags of 1: the bytecode is taken as it is, and not compared with a source.
HEAD = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8)
KINDS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def lean(tree: ast.Module) -> ast.Module:
    """Return a module with empty docstrings: whole they are a tenth of what is loaded.

    Examples
    --------
    >>> ast.get_docstring(lean(ast.parse('"Say."; x = 1')))
    ''
    """
    for node in ast.walk(tree):
        if isinstance(node, KINDS) and ast.get_docstring(node, clean=False) is not None:
            node.body[0].value.value = ""  # type: ignore[attr-defined]
    return tree


def compiled(data: bytes) -> bytes:
    """Return an archive with each module as bytecode in place of its source."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target,
    ):
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name.endswith(".py"):
                code = compile(lean(ast.parse(content)), name, "exec", dont_inherit=True)
                name, content = f"{name}c", HEAD + marshal.dumps(code)
            target.writestr(zipfile.ZipInfo(name, DATE), content, zipfile.ZIP_DEFLATED)
    return made.getvalue()
