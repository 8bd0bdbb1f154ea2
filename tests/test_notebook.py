"""The notebook runs from top to bottom, and its script is its pair."""

from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")
nbclient = pytest.importorskip("nbclient")

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def code_cells(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def test_script_and_notebook_are_a_pair():
    script = jupytext.read(EXAMPLES / "quickstart.py")
    notebook = jupytext.read(EXAMPLES / "quickstart.ipynb")
    assert code_cells(script) == code_cells(notebook)
    assert len(code_cells(script)) >= 8


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_notebook_runs_in_its_quick_form(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_UNET_QUICK", "1")
    notebook = jupytext.read(EXAMPLES / "quickstart.ipynb")
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    printed = "".join(
        output.get("text", "")
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )
    assert "mean IoU" in printed
    assert (tmp_path / "runs" / "quickstart" / "model.keras").exists()
    pictures = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 3
