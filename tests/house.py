"""The rules of the house as functions of source text, so that each can be shown to fail."""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# A layer may import what its entry names, and itself; see DESIGN R1-R3. `third` is None where any library is welcome.
LAYERS: dict[str, tuple[set[str], set[str] | None]] = {
    "models": (set(), {"numpy", "scipy"}),
    "kernels": (set(), {"numpy", "numba"}),
    "instances": ({"models", "kernels"}, None),
    "io": ({"models", "kernels"}, None),
    "certify": ({"models"}, {"numpy", "scipy", "flint"}),
    "exact": ({"models", "kernels", "instances", "io"}, None),
    "algorithms": ({"models", "kernels", "instances", "io"}, None),
    "claims": ({"models", "kernels", "instances", "io", "exact", "algorithms", "certify"}, None),
}
LAYERS["papers"] = (LAYERS["claims"][0] | {"claims"}, None)
LAYERS["report"] = (LAYERS["papers"][0] | {"papers"}, None)
LAYERS["cli"] = (LAYERS["report"][0] | {"report"}, None)

BANNED_WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
# Folders of one person's machine have no place in a project that others install.
MACHINE_PATHS = re.compile(r"(?<![\w.])/(work|root|home/[a-z]|Users/[a-z])")
TOLERANCES = {"atol", "rtol", "rel", "abs", "abs_tol", "rel_tol", "tolerance"}


def imports(source: str, package: str = "") -> list[tuple[int, str]]:
    """(line, dotted name) of every import, relative ones resolved against `package`."""
    out = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            out += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            if module == "mdplab":
                out += [(node.lineno, f"mdplab.{alias.name}") for alias in node.names]
            else:
                out.append((node.lineno, module))
    return out


def layer_faults(source: str, layer: str, where: str = "") -> list[str]:
    """Imports that do not point down (R1), referee and player who know too much (R2, R3)."""
    ours, third = LAYERS[layer]
    faults = []
    for line, name in imports(source, f"mdplab.{layer}"):
        top = name.split(".")[0]
        if top == "mdplab":
            target = name.split(".")[1] if "." in name else ""
            if target not in {"", "__version__", layer, *ours}:
                faults.append(f"{where}:{line}: {layer} imports mdplab.{target}")
        elif third is not None and top not in third and top not in sys.stdlib_module_names:
            faults.append(f"{where}:{line}: {layer} imports {top}")
    return faults


def foreign_imports(source: str, forbidden: str, where: str = "") -> list[str]:
    """Imports of the package `forbidden`."""
    return [f"{where}:{line}: imports {name}" for line, name in imports(source) if name.split(".")[0] == forbidden]


# Where a published experiment drew from NumPy's generator of before 2019, whose stream only this one gives.
LEGACY_STREAMS = {"mdplab/instances/american_put.py": "MT19937"}


def random_faults(source: str, where: str = "") -> list[str]:
    """Draws from a global generator, and generators that seed themselves (STYLE 1.5)."""
    allowed = {"Generator", "SeedSequence", "PCG64", "BitGenerator", "default_rng"}
    faults = []
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Attribute)
            and node.value.attr == "random"
            and isinstance(node.value.value, ast.Name)
            and node.value.value.id in {"np", "numpy"}
            and node.attr not in allowed
            and node.attr != LEGACY_STREAMS.get(where)
        ):
            faults.append(f"{where}:{node.lineno}: np.random.{node.attr}")
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("default_rng") and not node.args:
            faults.append(f"{where}:{node.lineno}: default_rng() without a seed")
    return faults


def kernel_faults(source: str, where: str = "") -> list[str]:
    """Arithmetic that is not IEEE, and compilers other than the house's own (STYLE 1.4)."""
    faults = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg == "fastmath":
            faults.append(f"{where}:{node.value.lineno}: fastmath")
    for line, name in imports(source):
        if name.split(".")[0] == "numba" and not where.endswith("_jit.py") and "prange" not in source:
            faults.append(f"{where}:{line}: imports numba; compile with mdplab.kernels._jit")
    return faults


def test_faults(source: str, where: str = "") -> list[str]:
    """Lines of a test that check nothing, or by how much is nowhere explained (STYLE 1.8)."""
    lines = source.splitlines()
    faults = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr):
            if isinstance(node.value, ast.Compare):
                faults.append(f"{where}:{node.lineno}: a comparison that nobody reads")
            if isinstance(node.value, ast.Call) and ast.unparse(node.value.func).split(".")[-1] in {
                "allclose",
                "isclose",
            }:
                faults.append(f"{where}:{node.lineno}: an allclose that nobody reads")
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("assert_almost_equal"):
            faults.append(f"{where}:{node.lineno}: assert_almost_equal; use assert_allclose with a derived tolerance")
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant):
            faults.append(f"{where}:{node.lineno}: an assert of a constant")
        if isinstance(node, ast.Call):
            faults += _bare_tolerances(node, lines, where)
    return faults


def _bare_tolerances(node: ast.Call, lines: list[str], where: str) -> list[str]:
    """Literal tolerances with no comment on their statement or just above it."""
    faults = []
    for keyword in node.keywords:
        literal = isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, float)
        if keyword.arg not in TOLERANCES or not literal or keyword.value.value == 0:
            continue
        around = lines[max(0, node.lineno - 3) : node.end_lineno]
        if not any("#" in text for text in around):
            faults.append(
                f"{where}:{keyword.value.lineno}: {keyword.arg}={ast.unparse(keyword.value)} without its origin"
            )
    return faults


def docstring_faults(source: str, where: str = "") -> list[str]:
    """Public modules, classes and functions without a docstring."""
    tree = ast.parse(source)
    faults = [] if ast.get_docstring(tree) or not tree.body else [f"{where}:1: module without a docstring"]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                faults.append(f"{where}:{node.lineno}: {node.name} without a docstring")
    return faults


def text_faults(source: str, where: str = "") -> list[str]:
    """Unfinished notes and folders of one machine."""
    faults = []
    for number, line in enumerate(source.splitlines(), start=1):
        for pattern, what in ((BANNED_WORDS, "an unfinished note"), (MACHINE_PATHS, "a path of one machine")):
            if pattern.search(line):
                faults.append(f"{where}:{number}: {what}: {line.strip()[:60]}")
    return faults
