"""Runs the notebooks and keeps what they print: `python -m tests.docs.notebooks`, after changing one or a figure.

Cell ids, counts and order come out the same every time, so that a diff shows what changed and nothing else.
"""

import os
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import KernelManager

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"


def execute(path: Path) -> None:
    """Run a notebook from top to bottom in a kernel of its own and write it back with its outputs.

    Raises:
        RuntimeError: when a cell fails.
    """
    book = nbformat.read(path, as_version=4)
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(path.parent), env={**os.environ, "TZ": "UTC"})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        for number, cell in enumerate(book.cells, 1):
            cell.id = f"cell-{number:02d}"
            if cell.cell_type == "code":
                _run(client, cell, path.name)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    counted = [cell for cell in book.cells if cell.cell_type == "code"]
    for place, cell in enumerate(counted, 1):
        cell.execution_count = place
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = place
    book.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.write(book, path)


def _run(client: Any, cell: Any, name: str) -> None:
    cell.outputs, cell.metadata = [], {}

    def keep(message: dict[str, Any]) -> None:
        if message["msg_type"] not in ("stream", "display_data", "execute_result", "error"):
            return
        output = nbformat.v4.output_from_msg(message)
        before = cell.outputs[-1] if cell.outputs else None
        # A kernel sends text in pieces, cut wherever its clock says.
        if before and output.output_type == before.output_type == "stream" and output.name == before.name:
            before.text += output.text
        else:
            cell.outputs.append(output)

    reply = client.execute_interactive(cell.source, output_hook=keep, timeout=120)
    if reply["content"]["status"] != "ok":
        raise RuntimeError(
            f"{name}: {reply['content']['ename']}: {reply['content']['evalue']}\n{cell.source}"
        )


if __name__ == "__main__":
    for notebook in sorted(FOLDER.glob("*.ipynb")):
        execute(notebook)
