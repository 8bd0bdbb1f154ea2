"""One self-contained HTML page: text, tables, charts and pictures, no network, no scripts."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_unet.report import charts
from keras_unet.report.pictures import png_bytes

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1300px; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; margin: 0.5rem 0; }
th, td { padding: 0.2rem 0.8rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
figure { display: inline-block; margin: 0.4rem; vertical-align: top; width: 31%; }
figure img { display: block; width: 100%; }
figcaption { font-size: 0.85rem; color: #555; }
svg { width: 32%; }
"""


class Report:
    """A page that grows by sections.

    Example:
        >>> page = Report("Cells")
        >>> page.heading("Result").table(["image", "IoU"], [["a.png", 0.93]]).write("report.html")
        PosixPath('report.html')
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts: list[str] = [f"<h1>{html.escape(title)}</h1>"]

    def heading(self, text: str) -> Report:
        """Starts a section."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")
        return self

    def text(self, text: str) -> Report:
        """Adds a paragraph."""
        self._parts.append(f"<p>{html.escape(text)}</p>")
        return self

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Report:
        """Adds a table; floats are shown with four digits."""

        def cell(value: Any) -> str:
            text = f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
            return html.escape(text)

        head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{cell(value)}</td>" for value in row) + "</tr>" for row in rows
        )
        self._parts.append(f"<table><tr>{head}</tr>{body}</table>")
        return self

    def values(self, values: Mapping[str, Any]) -> Report:
        """Adds a table of names and values."""
        return self.table(["", ""], list(values.items()))

    def svg(self, chart: str) -> Report:
        """Adds a chart made by `charts.line_chart`."""
        self._parts.append(chart)
        return self

    def picture(self, picture: np.ndarray, caption: str) -> Report:
        """Adds an RGB picture `(H, W, 3)` uint8 with its caption."""
        data = base64.b64encode(png_bytes(picture)).decode()
        text = html.escape(caption)
        self._parts.append(
            f'<figure><img alt="{text}" src="data:image/png;base64,{data}">'
            f"<figcaption>{text}</figcaption></figure>"
        )
        return self

    def render(self) -> str:
        """The whole page."""
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f"<title>{html.escape(self.title)}</title><style>{STYLE}{charts.STYLE}</style></head>"
            f"<body>{''.join(self._parts)}</body></html>"
        )

    def write(self, path: str | Path) -> Path:
        """Writes the page and returns its path."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.render(), encoding="utf-8")
        return path
