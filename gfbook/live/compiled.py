"""An archive of modules as bytecode, which pack.mjs makes in the very Python that loads it."""

import ast
import importlib.util
import io
import marshal
import tarfile
import zipfile

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


def compiled(name: str, content: bytes) -> tuple[str, bytes]:
    """Return the name and content of a file, of a module as bytecode in place of its source."""
    if not name.endswith(".py"):
        return name, content
    code = compile(lean(ast.parse(content)), name, "exec", dont_inherit=True)
    return f"{name}c", HEAD + marshal.dumps(code)


def packed(archives: dict[str, bytes]) -> bytes:
    """Return a tar archive of the files of zip archives, by the folder where they are put.

    It is unpacked by who cannot read what is compressed in it file by file at any speed.
    """
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as target:
        for folder, data in archives.items():
            with zipfile.ZipFile(io.BytesIO(data)) as source:
                for file in sorted(source.namelist()):
                    if not file.endswith("/"):
                        name, content = compiled(file, source.read(file))
                        about = tarfile.TarInfo(folder + name)
                        about.size = len(content)
                        target.addfile(about, io.BytesIO(content))
    return made.getvalue()
