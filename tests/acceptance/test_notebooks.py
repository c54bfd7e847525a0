"""Every notebook says today what it said when its outputs were kept, and uses nothing but the public names."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import cairnops

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def code(notebook: Path) -> list[str]:
    return [c.source for c in nbformat.read(notebook, as_version=4).cells if c.cell_type == "code"]


def check(notebook: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run every cell and compare what it prints with what the notebook holds."""
    # A zone that is nobody's default: a chart or a time that followed the machine would differ.
    (tmp_path / "empty.ini").write_text("[pytest]\n", encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-c", tmp_path / "empty.ini",
         f"--rootdir={notebook.parent}", "--nbval", "--nbval-sanitize-with", ROOT / "tests/acceptance/notebooks.cfg",
         notebook],
        cwd=notebook.parent, capture_output=True, encoding="utf-8", timeout=120,
        env={"PATH": str(Path(sys.executable).parent), "TZ": "Asia/Kathmandu", "HOME": str(tmp_path),
             "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_what_it_said(notebook: Path, tmp_path: Path) -> None:
    done = check(notebook, tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert f"{len(code(notebook))} passed" in done.stdout


def test_a_changed_figure_is_found(tmp_path: Path) -> None:
    copy = tmp_path / "notebooks" / NOTEBOOKS[0].name
    copy.parent.mkdir()
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    text = NOTEBOOKS[0].read_text(encoding="utf-8")
    assert text.count("1315.28") == 1
    copy.write_text(text.replace("1315.28", "1315.29"), encoding="utf-8")
    done = check(copy, tmp_path)
    assert done.returncode == 1
    assert "1 failed" in done.stdout


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_cairnops_and_hardly_anything_else(notebook: Path) -> None:
    source = "\n".join(code(notebook))
    assert set(re.findall(r"^(?:import|from) +(\S+)", source, re.M)) <= {
        "cairnops",
        "polars",
        "pathlib",
        "tempfile",
    }
    used = set(re.findall(r"\bcairnops\.(\w+)", source))
    assert used <= set(cairnops.__all__)


def test_every_public_name_is_there_and_importing_loads_none_of_it() -> None:
    for name in cairnops.__all__:
        assert getattr(cairnops, name) is not None
    with pytest.raises(AttributeError, match="nowhere"):
        cairnops.nowhere  # noqa: B018
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import cairnops, sys; print([m for m in sys.modules if m.startswith('cairnops.')])",
        ],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.stdout == "[]\n"
