"""Execute the notebooks and commit-ready them: pictures and outputs kept, timings and counts stripped.

`python -m mdplab.report.notebooks [--check] [NAME...]`: with `--check` nothing is written.
"""

import re
import sys
from pathlib import Path

_SECONDS = re.compile(r"seconds=[0-9.e+-]+")
_DRAWN_ON = re.compile(r"<dc:date>[^<]*</dc:date>")


def strip(notebook: dict) -> dict:
    """Remove execution counts, timings, dates and the machine's kernel name, which change from run to run."""
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.execution_count = None
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = None
                if "metadata" in output:
                    output.metadata = {}
                for kind, text in output.get("data", {}).items():
                    if kind.startswith("text/") and isinstance(text, str):
                        output.data[kind] = _SECONDS.sub("seconds=...", text)
                    elif kind == "image/svg+xml":
                        output.data[kind] = _DRAWN_ON.sub("<dc:date/>", text)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def execute(path: Path, *, write: bool, timeout: int = 300) -> None:
    """Run every cell of one notebook; ValueError names the notebook and the cell that failed."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.read(path, as_version=4)
    try:
        NotebookClient(notebook, timeout=timeout, kernel_name="python3").execute(cwd=str(path.parent))
    except CellExecutionError as error:
        raise ValueError(f"{path.name}: {error}") from None
    # A picture that cannot be drawn is reported in the cell's output and stops nothing.
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                raise ValueError(f"{path.name}: cell {number}: {output.ename}: {output.evalue.strip()}")
    if write:
        nbformat.write(strip(notebook), path)


def main(arguments: list[str]) -> int:
    """Execute the named notebooks, or all; the exit code is the number that failed."""
    folder = Path(__file__).resolve().parents[2] / "notebooks"
    check = "--check" in arguments
    names = [name for name in arguments if not name.startswith("-")]
    paths = [folder / f"{Path(name).stem}.ipynb" for name in names] or sorted(folder.glob("*.ipynb"))
    failed = 0
    for path in paths:
        try:
            execute(path, write=not check)
            print(f"{path.name}: executed")
        except ValueError as error:
            print(error, file=sys.stderr)
            failed += 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
