import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from keras_unet.report import charts
from keras_unet.report.html import Report
from keras_unet.report.run_report import add_curves, read_log

pytestmark = pytest.mark.core


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.1, 0.13), (-5, 1200), (3, 3), (0, 0), (1e-9, 2e-9)]
)
def test_ticks_are_round_and_cover(low, high):
    values = charts.ticks(low, high)
    assert values[0] <= low
    assert values[-1] >= high
    assert 2 <= len(values) <= 12
    np.testing.assert_allclose(np.diff(values), values[1] - values[0])


def test_line_chart_is_well_formed_and_leaves_out_nan():
    chart = charts.line_chart(
        {"loss <train>": ([0, 1, 2], [3.0, float("nan"), 1.0]), "one": ([1], [2.0])}, "A & B"
    )
    root = ElementTree.fromstring(chart)
    assert [len(line.get("points").split()) for line in root.iter("polyline")] == [2, 1]
    assert "loss <train>" in [text.text for text in root.iter("text")]


def test_standalone_chart_is_a_file_with_its_own_style():
    chart = charts.line_chart({"a": ([0, 1], [2.0, 3.0])}, "A")
    root = ElementTree.fromstring(charts.standalone(chart))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    children = [child.tag.rpartition("}")[2] for child in root]
    assert children[:3] == ["style", "rect", "text"]
    assert children.count("polyline") == 1


def test_points_alone_are_named_beside_them_on_a_scale_by_powers_of_ten():
    chart = charts.line_chart({"a": ([0.1], [1.0]), "b": ([100.0], [3.0])}, "A", log_x=True)
    root = ElementTree.fromstring(chart)
    across = [float(circle.get("cx")) for circle in root.iter("circle")]
    labels = {text.text: float(text.get("x")) for text in root.iter("text")}
    assert across == sorted(across)
    assert across[0] == pytest.approx(labels["0.1"], abs=0.1)
    assert across[1] == pytest.approx(labels["100"], abs=0.1)
    assert (labels["a"] > across[0], labels["b"] < across[1]) == (True, True)
    assert {"1", "10"} <= set(labels)


def test_line_chart_without_values_says_so():
    assert "no values" in charts.line_chart({"loss": ([], [])}, "Loss")


def test_report_is_one_self_contained_page(tmp_path):
    page = Report("Cells <1>").heading("Result").text("a & b").values({"IoU": 0.98765})
    page.table(["image", "IoU"], [["x.png", 0.5]]).picture(np.zeros((2, 3, 3), np.uint8), "black")
    path = page.write(tmp_path / "new" / "report.html")
    text = path.read_text()
    assert "Cells &lt;1&gt;" in text
    assert "a &amp; b" in text
    assert "0.9877" in text
    assert "data:image/png;base64," in text
    assert "http" not in text
    assert "<script" not in text


def test_a_log_is_read_whatever_its_values_are(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("step,loss\n1,0.5\n2\n3,x,surplus,5\n")
    columns = read_log(log)
    assert columns["step"] == [1, 2, 3]
    np.testing.assert_array_equal(columns["loss"], [0.5, np.nan, np.nan])
    page = Report("run")
    add_curves(page, columns)
    add_curves(page, {"loss": [1.0]})  # the steps are not there
    assert page.write(tmp_path / "report.html").read_text().count("<svg") == 1


@pytest.mark.parametrize("data", [b"step,loss\n1,\xff\n", b"step\n" + b"1" * 200_000])
def test_a_damaged_log_is_refused_by_name(tmp_path, data):
    log = tmp_path / "log.csv"
    log.write_bytes(data)
    with pytest.raises(ValueError, match=r"log\.csv is damaged"):
        read_log(log)
