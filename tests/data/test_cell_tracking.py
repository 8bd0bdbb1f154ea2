"""The Cell Tracking Challenge layout and what partial truth leaves unknown."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from keras_unet.data import (
    read_cell_tracking,
    read_cell_tracking_markers,
    read_labels,
    write_image,
    write_labels,
)

pytestmark = pytest.mark.core

SHAPE = (40, 60)
BOXES = [(2, 2), (2, 16), (2, 30), (2, 44), (24, 2), (24, 24)]  # corners of 10 x 10 cells


def cells(*places, ids=None, grow=0):
    """Label map with square cells at some of BOXES; `grow` makes them larger on all sides."""
    labels = np.zeros(SHAPE, np.uint16)
    for place, ident in zip(places, ids or [place + 1 for place in places], strict=True):
        row, column = BOXES[place]
        labels[row - grow : row + 10 + grow, column - grow : column + 10 + grow] = ident
    return labels


def markers(*places):
    """4 x 4 squares in the middle of the cells, with the tracks' ids."""
    return cells(*places, ids=[10 + place for place in places], grow=-3)


@pytest.fixture
def layout(tmp_path):
    """Frames 0 (gold complete), 1 (five of six), 2 (two of six), 3 (silver only), 4 (no truth)."""
    for part in ("01", "01_GT/SEG", "01_GT/TRA", "01_ST/SEG"):
        (tmp_path / part).mkdir(parents=True)
    for frame in range(5):
        write_image(tmp_path / "01" / f"t{frame:03d}.tif", np.full(SHAPE, frame, np.uint8))
        write_labels(tmp_path / "01_GT" / "TRA" / f"man_track{frame:03d}.tif", markers(*range(6)))
    gold = {0: range(6), 1: range(5), 2: (0, 3)}
    for frame, places in gold.items():
        write_labels(tmp_path / "01_GT" / "SEG" / f"man_seg{frame:03d}.tif", cells(*places))
    for frame, places in {0: range(5), 1: range(6), 2: range(6), 3: range(5)}.items():
        silver = cells(*places, grow=-1, ids=[20 + place for place in places])
        write_labels(tmp_path / "01_ST" / "SEG" / f"man_seg{frame:03d}.tif", silver)
    return tmp_path


def test_gold_frames(layout):
    samples = read_cell_tracking(layout)
    assert [sample.name for sample in samples] == ["01/t000", "01/t001", "01/t002"]
    assert [sample.image[0, 0, 0] for sample in samples] == [0, 1, 2]
    np.testing.assert_array_equal(samples[0].instances, cells(*range(6)))
    assert samples[0].annotated is None


def test_few_cells_lacking_leave_their_surroundings_open(layout):
    sample = read_cell_tracking(layout, frames=[1])[0]
    np.testing.assert_array_equal(sample.instances, cells(*range(5)))
    row, column = BOXES[5]
    assert not sample.annotated[row : row + 10, column : column + 10].any()
    assert sample.annotated[sample.instances > 0].all()
    # Two radii of a disc of 100 px around the marker, which spans columns 27 to 30.
    reach = 2 * np.sqrt(100 / np.pi)
    assert not sample.annotated[row + 4, 30 + int(reach)]
    assert sample.annotated[row + 4, 30 + int(reach) + 1]


def test_sparse_gold_is_known_around_its_objects_only(layout):
    sample = read_cell_tracking(layout, frames=[2])[0]
    expected = cells(0, 3, grow=2) > 0
    row, column = BOXES[0]
    assert sample.annotated[expected].all()
    assert sample.annotated[row, column + 12]  # 3 px from the last column of the object
    assert not sample.annotated[row, column + 13]
    assert not sample.annotated[cells(1, 2, 4, 5) > 0].any()


def test_markers_of_silent_cells_are_unknown_close_to_objects(layout):
    near = cells(0)
    near[2:12, 12:22] = 9  # the marker of a neighbour that touches the object
    write_labels(layout / "01_GT" / "TRA" / "man_track002.tif", near)
    write_labels(layout / "01_GT" / "SEG" / "man_seg002.tif", cells(0))
    sample = read_cell_tracking(layout, frames=[2])[0]
    assert not sample.annotated[2:12, 12:22].any()
    assert sample.annotated[12:15, 2:12].all()


def test_empty_gold_says_nothing(layout):
    write_labels(layout / "01_GT" / "SEG" / "man_seg002.tif", cells())
    assert not read_cell_tracking(layout, frames=[2])[0].annotated.any()


def test_silver(layout):
    samples = read_cell_tracking(layout, truth="ST")
    assert [sample.name[-1] for sample in samples] == ["0", "1", "2", "3"]
    assert samples[1].annotated is None
    assert set(np.unique(samples[3].instances)) == {0, 20, 21, 22, 23, 24}
    assert not samples[3].annotated[BOXES[5][0] + 5, BOXES[5][1] + 5]


def test_gold_and_silver(layout):
    complete, partial, sparse, silver = read_cell_tracking(layout, truth="GT+ST")
    np.testing.assert_array_equal(complete.instances, cells(*range(6)))
    for sample, gold in ((partial, range(5)), (sparse, (0, 3))):
        assert sample.annotated is None  # together they have every cell
        assert len(np.unique(sample.instances)) == 7
        from_gold = cells(*gold) > 0
        assert (sample.instances[from_gold] > 25).all()  # gold ids follow the silver ones
        left = set(range(6)) - set(gold)
        np.testing.assert_array_equal(
            sample.instances > 0, from_gold | (cells(*sorted(left), grow=-1) > 0)
        )
    assert silver.annotated is not None


def test_gold_takes_pixels_of_a_silver_neighbour(layout):
    write_labels(layout / "01_GT" / "SEG" / "man_seg001.tif", cells(0, grow=2))
    wide = cells(0, 1, grow=2)  # silver cell 1 begins in column 14, gold cell 0 ends in 13
    wide[4:8, 10:18] = 2
    write_labels(layout / "01_ST" / "SEG" / "man_seg001.tif", wide)
    write_labels(layout / "01_GT" / "TRA" / "man_track001.tif", markers(0, 1))
    sample = read_cell_tracking(layout, truth="GT+ST", frames=[1])[0]
    assert len(np.unique(sample.instances)) == 3
    assert (sample.instances[0:14, 0:14] == sample.instances[2, 2]).all()


def test_without_markers_silver_shows_what_gold_lacks(layout):
    for file in (layout / "01_GT" / "TRA").iterdir():
        file.unlink()
    samples = read_cell_tracking(layout)
    assert samples[0].annotated is None
    assert samples[1].annotated is not None
    for file in (layout / "01_ST" / "SEG").iterdir():
        file.unlink()
    assert all(sample.annotated is None for sample in read_cell_tracking(layout))


def test_images_alone(layout):
    samples = read_cell_tracking(layout, truth=None)
    assert len(samples) == 5
    assert all(sample.instances is None for sample in samples)


def test_four_digits_and_order(layout):
    write_image(layout / "01" / "t1234.tif", np.full(SHAPE, 99, np.uint8))
    samples = read_cell_tracking(layout, truth=None, frames=[1234, 2])
    assert [sample.image[0, 0, 0] for sample in samples] == [99, 2]


def test_volumes_skip_slice_truth_with_a_note(layout):
    volume = np.zeros((3, *SHAPE), np.uint8)
    tifffile.imwrite(layout / "01" / "t000.tif", volume, photometric="minisblack")
    truth = np.repeat(cells(*range(6))[None], 3, axis=0)
    write_labels(layout / "01_GT" / "SEG" / "man_seg000.tif", truth)
    write_labels(layout / "01_GT" / "SEG" / "man_seg_000_001.tif", truth[1])
    (layout / "01_GT" / "TRA" / "man_track000.tif").unlink()
    (layout / "01_ST" / "SEG" / "man_seg000.tif").unlink()
    with pytest.warns(UserWarning, match=r"1 files .* single slice.*man_seg_000_001\.tif"):
        sample = read_cell_tracking(layout, frames=[0])[0]
    assert sample.image.shape == (3, *SHAPE, 1)
    np.testing.assert_array_equal(sample.instances, truth)


def test_markers(layout):
    found = read_cell_tracking_markers(layout, frames=[4, 0])
    assert list(found) == [4, 0]
    np.testing.assert_array_equal(found[0], markers(*range(6)))
    assert len(read_cell_tracking_markers(layout)) == 5


ILL_CASES = [
    ({"truth": "gold"}, ValueError, "no truth 'gold'"),
    ({"sequence": "02"}, FileNotFoundError, r"found: \['01'\].*sequence='02'"),
    ({"frames": [0, 3]}, ValueError, r"GT of 01: frames \[0, 1, 2\]. .*\[3\]"),
]


@pytest.mark.parametrize(("options", "error", "message"), ILL_CASES)
def test_ill_arguments(layout, options, error, message):
    with pytest.raises(error, match=message):
        read_cell_tracking(layout, **options)


def test_no_truth(layout):
    for file in (layout / "01_GT" / "SEG").iterdir():
        file.unlink()
    with pytest.raises(FileNotFoundError, match="no GT truth"):
        read_cell_tracking(layout)
    with pytest.raises(FileNotFoundError, match="man_trackNNN"):
        read_cell_tracking_markers(layout, "02")
    with pytest.raises(ValueError, match=r"\[9\]"):
        read_cell_tracking_markers(layout, frames=[9])


def test_truth_without_image(layout):
    (layout / "01" / "t001.tif").unlink()
    with pytest.raises(ValueError, match=r"man_seg001\.tif has no image"):
        read_cell_tracking(layout)


def test_sizes_differ(layout):
    write_image(layout / "01" / "t001.tif", np.zeros((40, 61), np.uint8))
    with pytest.raises(ValueError, match=r"man_seg001\.tif .* \(40, 60\) and \(40, 61\)"):
        read_cell_tracking(layout)


class TestRealData:
    def test_dic_gold(self, data_root):
        """Counts of the data set's own description: which frames lack how many cells."""
        expected = {2: 10, 5: 10, 21: 11, 31: 13, 33: 13, 34: 12, 39: 13, 54: 13, 67: 3}
        samples = read_cell_tracking(data_root / "DIC-C2DH-HeLa")
        found = {int(s.name[-3:]): len(np.unique(s.instances)) - 1 for s in samples}
        assert found == expected
        partial = {int(s.name[-3:]): s.annotated.mean() for s in samples if s.annotated is not None}
        assert partial.keys() == {34, 39, 67}
        assert partial[34] > 0.9  # one cell lacking
        assert partial[67] < 0.2  # 15 of 18 lacking
        for sample in samples:
            assert sample.image.shape == (512, 512, 1)
            assert sample.image.dtype == np.uint8

    def test_dic_gold_second_sequence(self, data_root):
        samples = read_cell_tracking(data_root / "DIC-C2DH-HeLa", "02")
        assert [s.name[-3:] for s in samples] == ["006", "007", "014", "027"]
        assert [s.annotated is None for s in samples] == [True, False, False, True]

    def test_dic_silver_fills_the_partial_frame(self, data_root):
        folder = data_root / "DIC-C2DH-HeLa"
        sample = read_cell_tracking(folder, truth="GT+ST", frames=[67])[0]
        assert len(np.unique(sample.instances)) == 19
        assert sample.annotated is None
        gold = read_labels(folder / "01_GT" / "SEG" / "man_seg067.tif")
        np.testing.assert_array_equal(
            sample.instances[gold > 0] - sample.instances[gold > 0].min(), gold[gold > 0] - 1
        )

    def test_fluo_gold_without_markers(self, data_root):
        samples = read_cell_tracking(data_root / "Fluo-N2DL-HeLa")
        complete = [int(s.name[-3:]) for s in samples if s.annotated is None]
        assert complete == [13, 52]
        assert all(sample.image.dtype == np.uint16 for sample in samples)
