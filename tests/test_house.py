"""DESIGN's rules R1-R5 and STYLE's bans, read off the source; each rule is also shown a case that it must refuse."""

import re
import subprocess
import sys
import tomllib

import house
import pytest

PACKAGE = sorted((house.ROOT / "mdplab").rglob("*.py"))
PROOFS = sorted((house.ROOT / "proofs_check").rglob("*.py"))
TESTS = sorted((house.ROOT / "tests").rglob("*.py"))
BENCHMARKS = sorted((house.ROOT / "benchmarks").rglob("*.py"))

# A file has at most 400 lines. A paper is one module by R5, however many statements it has: it may have 50 lines for
# each claim and figure. Any other exception is named here, with its reason.
LONG_FILES: dict[str, str] = {}
LINES, LINES_A_STATEMENT = 400, 50


def _most_lines(path) -> int:
    """How long a file may be."""
    if path.parent != house.ROOT / "mdplab" / "papers":
        return LINES
    source = path.read_text()
    return max(LINES, LINES_A_STATEMENT * (source.count("\n@claim(") + source.count("\ndef figure_")))


def _each(paths, check):
    return [fault for path in paths for fault in check(path.read_text(), str(path.relative_to(house.ROOT)))]


def _layer(path) -> str:
    part = path.relative_to(house.ROOT / "mdplab").parts[0]
    return part.removesuffix(".py")


def test_imports_point_down():
    inner = [path for path in PACKAGE if _layer(path) in house.LAYERS]
    faults = [
        fault
        for path in inner
        for fault in house.layer_faults(path.read_text(), _layer(path), str(path.relative_to(house.ROOT)))
    ]
    assert faults == []
    outside = {_layer(path) for path in PACKAGE} - set(house.LAYERS)
    assert outside <= {"__init__", "__main__"}, "a new folder needs a layer in tests/house.py"


def test_proofs_stand_alone():
    assert _each(PROOFS, lambda source, where: house.foreign_imports(source, "mdplab", where)) == []


def test_no_global_randomness_and_no_fastmath():
    assert _each([*PACKAGE, *PROOFS, *BENCHMARKS], house.random_faults) == []
    assert _each(PACKAGE, house.kernel_faults) == []


def test_benchmarks_have_the_face_that_bench_calls():
    for path in BENCHMARKS:
        if path.stem.startswith("bench_"):
            assert "def run(quick: bool, out" in path.read_text().replace("\n    ", " ").replace("run( ", "run("), (
                path.name
            )


def test_tests_check_something():
    assert _each(TESTS, house.test_faults) == []


def test_public_names_are_documented():
    assert _each([*PACKAGE, *PROOFS], house.docstring_faults) == []


def test_no_unfinished_notes_and_no_machine_paths():
    text = [path for path in [*PACKAGE, *PROOFS, *BENCHMARKS, *TESTS] if path.name not in {"house.py", "test_house.py"}]
    assert _each(text, house.text_faults) == []


def test_files_are_small():
    files = [path for path in [*PACKAGE, *PROOFS, *TESTS] if str(path.relative_to(house.ROOT)) not in LONG_FILES]
    assert {path.name: size for path in files if (size := len(path.read_text().splitlines())) > _most_lines(path)} == {}
    # A paper of thirteen claims and two figures may have 750 lines, a solver 400.
    assert _most_lines(house.ROOT / "mdplab" / "papers" / "munos2023.py") == 750
    assert _most_lines(house.ROOT / "mdplab" / "cli.py") == 400
    assert [path.name for path in PACKAGE if path.name == "utils.py"] == []


def test_a_paper_is_a_module_and_a_card_with_one_stem():
    modules = {path.stem for path in (house.ROOT / "mdplab/papers").glob("*.py")} - {"__init__"}
    cards = {path.stem for path in (house.ROOT / "paper_configs").glob("*.toml")}
    assert modules == cards
    assert [key for key in modules if not re.fullmatch(r"[a-z]+\d{4}[a-z]?", key)] == []


def test_no_lemma_dangles():
    from mdplab.claims import discovery
    from proofs_check.checked import lemmas

    cited = {
        (claim.id, lemma)
        for entry in discovery.papers().values()
        for claim in entry.claims.values()
        for lemma in claim.lemmas
    }
    known = set(lemmas())
    assert [pair for pair in sorted(cited) if pair[1] not in known] == []


def test_discovery_edits_no_file():
    names = {path.stem for path in (house.ROOT / "mdplab/papers").glob("*.py")} - {"__init__"}
    shared = [p for p in PACKAGE if p.parent.name != "papers"]
    mentions = [
        f"{p.name}: {n}" for p in shared for n in names for _ in re.finditer(rf"import.*\b{n}\b", p.read_text())
    ]
    assert mentions == [], "a paper is found by discovery, never imported by name (R5)"


def test_the_top_level_is_fixed():
    fixed = {"mdplab", "proofs_check", "notebooks", "figures", "tests", "paper_configs", "benchmarks", ".ci"}
    listing = subprocess.run(["git", "ls-files"], cwd=house.ROOT, capture_output=True, text=True, check=True).stdout
    folders = {line.split("/")[0] for line in listing.splitlines() if "/" in line}
    assert folders <= fixed


def test_versions_agree():
    project = tomllib.loads((house.ROOT / "pyproject.toml").read_text())["project"]
    citation = (house.ROOT / "CITATION.cff").read_text()
    import mdplab

    assert project["version"] == mdplab.__version__
    assert f"version: {mdplab.__version__}" in citation


def test_import_loads_no_compiler_and_no_solver():
    code = "import sys, mdplab; print([m for m in ('numba', 'scipy', 'cvxpy', 'matplotlib') if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


@pytest.mark.parametrize(
    ("check", "bad"),
    [
        (lambda s: house.layer_faults(s, "models"), "import numba"),
        (lambda s: house.layer_faults(s, "models"), "from mdplab.exact import solve"),
        (lambda s: house.layer_faults(s, "algorithms"), "def f():\n    from mdplab import exact"),
        (lambda s: house.layer_faults(s, "certify"), "from mdplab.kernels._jit import kernel"),
        (lambda s: house.layer_faults(s, "certify"), "from ..exact import solve"),
        (lambda s: house.foreign_imports(s, "mdplab"), "import mdplab.models"),
        (house.random_faults, "import numpy as np\nnp.random.seed(0)"),
        (house.random_faults, "import numpy as np\nrng = np.random.default_rng()"),
        (house.kernel_faults, "@njit(fastmath=True)\ndef f(): pass"),
        (house.kernel_faults, "import numba"),
        (house.test_faults, "def test_x():\n    x == 1"),
        (house.test_faults, "def test_x():\n    np.allclose(x, 1)"),
        (house.test_faults, "def test_x():\n    assert True"),
        (house.test_faults, "def test_x():\n    assert_almost_equal(x, 1, decimal=3)"),
        (house.test_faults, "def test_x():\n    y = 1\n    z = 2\n    assert_allclose(x, 1, rtol=1e-3)"),
        (house.docstring_faults, '"""Module."""\ndef public(): pass'),
        (house.text_faults, "x = 1  # TO" + "DO later"),
        (house.text_faults, "path = '/ro" + "ot/data'"),
    ],
)
def test_each_rule_can_fail(check, bad):
    assert len(check(bad)) == 1


def test_a_justified_tolerance_is_accepted():
    assert (
        house.test_faults("def test_x():\n    # eight roundings of a double\n    assert_allclose(x, 1, rtol=1e-15)")
        == []
    )
