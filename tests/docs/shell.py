"""Runs the README's commands the way a reader would, and gives what they print."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)
_EXIT = re.compile(r"\s+#\s*exit (\d)\b.*$")
_OURS = ("CAIRNOPS_", "CHATWOOT_", "DATABASE_", "FEATURE_", "SUPABASE_")


@dataclass(frozen=True)
class Command:
    """One line of a shell block; a comment `# exit 3` behind it says which code it ends with."""

    text: str
    code: int


def commands(readme: str) -> Iterator[Command]:
    """The commands of every `sh` block, in reading order."""
    for block in _BLOCK.findall(readme):
        for line in block.splitlines():
            code = _EXIT.search(line)
            text = re.sub(r"\s+#.*$", "", line).strip()
            if text and not text.startswith("#"):
                yield Command(text=text, code=int(code[1]) if code else 0)


def run(text: str, folder: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run one line with `cairnops` on the path, 80 columns wide, in a folder with the fixtures at hand."""
    if not (folder / "fixtures").exists():
        (folder / "fixtures").symlink_to(ROOT / "fixtures")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
    environ = kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "80",
        "NO_COLOR": "1",
        "PYTHONIOENCODING": "utf-8",
    }
    return subprocess.run(
        ["bash", "-c", text], cwd=folder, env=environ, capture_output=True, text=True, timeout=timeout
    )


def transcript(text: str) -> str:
    """A fenced block with the command and everything it prints, narration first, as a terminal shows it."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        done = run(text, Path(folder))
    lines = [line.rstrip() for line in (done.stderr + done.stdout).splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(["```text", f"$ {text}", *lines, "```"])
