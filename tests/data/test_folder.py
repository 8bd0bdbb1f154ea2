"""Folders of images and masks: which file belongs to which, and what the numbers mean."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import tifffile

from keras_unet.data import read_folder, write_image, write_labels

pytestmark = pytest.mark.core

SHAPE = (6, 9)
# Two objects that touch at a corner only; the same as ids.
BINARY = np.array([[0, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 0]], np.uint8)
PARTS = np.array([[0, 1, 1, 0], [0, 1, 1, 0], [2, 0, 0, 0]])
MANY = np.kron(np.arange(12).reshape(3, 4), np.ones((2, 2), int))  # eleven ids, one piece each


def image_like(mask, value=0):
    return np.full(np.shape(mask), value, np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Empty folders `images` and `masks`."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    return tmp_path


def fill(folder, **masks):
    """Writes masks and dark images of their size."""
    for name, mask in masks.items():
        write_labels(folder / "masks" / f"{name}.png", mask)
        write_image(folder / "images" / f"{name}.png", image_like(mask))


class TestNames:
    def test_natural_order(self, folder):
        fill(folder, **dict.fromkeys(("b2", "b10", "a", "b9"), BINARY))
        assert [sample.name for sample in read_folder(folder)] == ["a", "b2", "b9", "b10"]

    @pytest.mark.parametrize(
        ("image", "mask"),
        [
            ("a.png", "a.tif"),
            ("a.png", "a_mask.png"),
            ("a.tif", "a_masks.png"),
            ("a.PNG", "a-labels.png"),
            ("a_img.png", "a_Label.tiff"),
            ("a_image.png", "a.seg.png"),
            ("a.png", "a_cp_masks.png"),
            ("a_raw.png", "a_gt.png"),
            ("gt_1_mask.png", "gt_1_mask.png"),
        ],
    )
    def test_endings(self, folder, image, mask):
        write_image(folder / "images" / image, image_like(BINARY, 9))
        write_labels(folder / "masks" / mask, BINARY)
        samples = read_folder(folder / "images", folder / "masks")
        assert samples[0].image[0, 0, 0] == 9
        np.testing.assert_array_equal(samples[0].instances, PARTS)

    def test_one_folder(self, tmp_path):
        for name in ("x1", "x2"):
            write_image(tmp_path / f"{name}.png", image_like(BINARY))
            write_labels(tmp_path / f"{name}_mask.png", BINARY)
        samples = read_folder(tmp_path, tmp_path)
        assert [sample.name for sample in samples] == ["x1", "x2"]
        assert all(sample.instances.max() == 2 for sample in samples)

    def test_without_masks(self, folder):
        fill(folder, a=BINARY)
        (folder / "images" / ".hidden.png").write_bytes(b"")
        (folder / "images" / "notes.txt").write_text("no image")
        samples = read_folder(folder / "images")
        assert [sample.name for sample in samples] == ["a"]
        assert samples[0].instances is None

    def test_all_unmatched_files_are_listed(self, folder):
        fill(folder, a=BINARY, b=BINARY, c=BINARY)
        (folder / "masks" / "a.png").unlink()
        (folder / "masks" / "b.png").rename(folder / "masks" / "d.png")
        with pytest.raises(ValueError, match="a, b lack a partner, d are left over"):
            read_folder(folder)

    def test_two_masks_for_one_image(self, folder):
        fill(folder, a=BINARY)
        (folder / "images" / "b.png").write_bytes((folder / "images" / "a.png").read_bytes())
        for ending in ("mask", "seg"):
            write_labels(folder / "masks" / f"b_{ending}.png", BINARY)
        with pytest.raises(ValueError, match=r"b of the images in .* and b_mask, b_seg of"):
            read_folder(folder)

    def test_missing_and_empty_folders(self, folder):
        with pytest.raises(FileNotFoundError, match="no such folder"):
            read_folder(folder / "nowhere")
        with pytest.raises(FileNotFoundError, match="holds no images"):
            read_folder(folder / "images")

    def test_sizes_differ(self, folder):
        fill(folder, a=BINARY)
        write_image(folder / "images" / "a.png", np.zeros((4, 3), np.uint8))
        with pytest.raises(ValueError, match=r"a\.png.*a\.png.*\(4, 3\) and \(3, 4\)"):
            read_folder(folder)


class TestKinds:
    @pytest.mark.parametrize("value", [1, 255])
    @pytest.mark.parametrize("kind", ["auto", "binary"])
    def test_binary(self, folder, value, kind):
        fill(folder, a=BINARY * value, empty=BINARY * 0)
        first, empty = read_folder(folder, kind=kind)
        np.testing.assert_array_equal(first.instances, PARTS)
        assert first.classes is None
        assert empty.instances.max() == 0

    def test_binary_with_another_value(self, folder):
        fill(folder, a=BINARY * 128)
        np.testing.assert_array_equal(read_folder(folder, kind="binary")[0].instances, PARTS)

    def test_many_ids_are_instances(self, folder):
        fill(folder, a=MANY * 1000, b=MANY % 3 == 1)
        samples = read_folder(folder)
        np.testing.assert_array_equal(samples[0].instances, MANY * 1000)
        np.testing.assert_array_equal(samples[1].instances, MANY % 3 == 1)

    def test_instances_as_colours(self, folder):
        colours = np.zeros((*BINARY.shape, 3), np.uint8)
        colours[0, 0], colours[2, 3] = (9, 0, 0), (9, 0, 1)
        write_image(folder / "masks" / "a.png", colours)
        write_image(folder / "images" / "a.png", image_like(BINARY))
        instances = read_folder(folder, kind="instances")[0].instances
        assert (instances[0, 0], instances[2, 3], np.count_nonzero(instances)) == (1, 2, 2)

    def test_classes(self, folder):
        fill(folder, a=np.array([[0, 2, 1]]), b=np.array([[0, 0, 1]]))
        samples = read_folder(folder, kind="classes")
        np.testing.assert_array_equal(samples[0].classes, [[0, 2, 1]])
        assert samples[0].instances is None
        assert samples[0].annotated is None

    def test_class_values(self, folder):
        fill(folder, a=np.array([[0, 255, 128, 7]]))
        sample = read_folder(folder, kind="classes", class_values=[128, 0, 255], ignore_class=7)[0]
        np.testing.assert_array_equal(sample.annotated, [[True, True, True, False]])
        np.testing.assert_array_equal(sample.classes[0, :3], [1, 2, 0])

    def test_ignored_value_needs_no_table(self, folder):
        fill(folder, a=np.array([[0, 1, 255]]))
        sample = read_folder(folder, kind="classes", ignore_class=255)[0]
        np.testing.assert_array_equal(sample.classes[0, :2], [0, 1])
        np.testing.assert_array_equal(sample.annotated, [[True, True, False]])

    def test_class_colours(self, folder):
        colours = np.array([[[0, 0, 0], [0, 9, 0], [255, 255, 255]]], np.uint8)
        write_image(folder / "masks" / "a.png", colours)
        write_image(folder / "images" / "a.png", np.zeros((1, 3), np.uint8))
        table = {"class_values": [(0, 9, 0), (0, 0, 0)], "ignore_class": (255, 255, 255)}
        sample = read_folder(folder, kind="classes", **table)[0]
        np.testing.assert_array_equal(sample.classes[0, :2], [1, 0])
        np.testing.assert_array_equal(sample.annotated, [[True, True, False]])

    def test_values_as_the_command_line_writes_them(self, folder):
        colours = np.array([[[0, 0, 0], [255, 128, 0], [255, 255, 255]]], np.uint8)
        write_image(folder / "masks" / "a.png", colours)
        write_image(folder / "images" / "a.png", np.zeros((1, 3), np.uint8))
        sample = read_folder(folder, class_values="#000000,#FF8000", ignore_class="#ffffff")[0]
        np.testing.assert_array_equal(sample.classes[0, :2], [0, 1])
        np.testing.assert_array_equal(sample.annotated, [[True, True, False]])

    @pytest.mark.parametrize("dtype", [np.int16, np.float32])
    def test_values_below_0(self, folder, dtype):
        stored = np.array([[0, 1, -1, -2]], dtype)
        tifffile.imwrite(folder / "masks" / "a.tif", stored)
        write_image(folder / "images" / "a.png", np.zeros((1, 4), np.uint8))
        with pytest.raises(ValueError, match=r"a\.tif holds values below 0: -2, -1; give ignore"):
            read_folder(folder, kind="classes")
        with pytest.raises(ValueError, match=r"a\.tif holds values below 0: -2;"):
            read_folder(folder, kind="classes", ignore_class=-1)
        sample = read_folder(folder, class_values="-2,0,1", ignore_class="-1")[0]
        np.testing.assert_array_equal(sample.classes[0, [0, 1, 3]], [1, 2, 0])
        np.testing.assert_array_equal(sample.annotated, [[True, True, False, True]])

    @pytest.mark.parametrize("kind", ["auto", "binary", "instances"])
    def test_pixels_without_annotation_of_every_kind(self, folder, kind):
        fill(folder, a=np.where(BINARY == 0, 200, BINARY), b=BINARY)
        first, second = read_folder(folder, kind=kind, ignore_class=200)
        np.testing.assert_array_equal(first.annotated, BINARY > 0)
        np.testing.assert_array_equal(first.instances > 0, BINARY > 0)
        assert second.annotated.all()

    def test_classes_that_do_not_occur(self, folder):
        fill(folder, a=np.array([[0, 2, 2]]))
        np.testing.assert_array_equal(read_folder(folder, num_classes=4)[0].classes, [[0, 2, 2]])
        with pytest.raises(ValueError, match=r"values 0, 2, which are not class numbers 0\.\.1"):
            read_folder(folder, kind="classes", num_classes=2)

    def test_nothing_is_annotated(self, folder):
        fill(folder, a=np.array([[7, 7]]))
        assert not read_folder(folder, kind="classes", ignore_class=7)[0].annotated.any()

    def test_volumes(self, folder):
        volume = np.stack([BINARY, BINARY])
        write_labels(folder / "masks" / "a.tif", volume)
        write_image(folder / "images" / "a.tif", volume[..., None] * np.uint8(7))
        sample = read_folder(folder, rank=3)[0]
        assert sample.image.shape == (2, 3, 4, 1)
        np.testing.assert_array_equal(sample.instances, [PARTS, PARTS])

    def test_channels(self, folder):
        fill(folder, a=BINARY)
        assert read_folder(folder, channels=3)[0].image.shape == (3, 4, 3)


class TestFiles:
    def test_frames_are_samples(self, folder):
        movie = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
        tifffile.imwrite(folder / "images" / "m.tif", movie, imagej=True, metadata={"axes": "TYX"})
        tifffile.imwrite(folder / "masks" / "m.tif", movie % 2, photometric="minisblack")
        with pytest.raises(ValueError, match=r"m\.tif has 3 frames, .*m\.tif none"):
            read_folder(folder)
        samples = read_folder(folder, axes="TYX")
        assert [sample.name for sample in samples] == ["m_t0000", "m_t0001", "m_t0002"]
        np.testing.assert_array_equal(samples[2].image[..., 0], movie[2])
        np.testing.assert_array_equal(samples[2].instances > 0, movie[2] % 2)
        assert [sample.name for sample in read_folder(folder / "images")] == [
            sample.name for sample in samples
        ]

    def test_numbers_of_frames_differ(self, folder):
        for name, count in (("images", 3), ("masks", 2)):
            movie = np.zeros((count, 4, 5), np.uint8)
            tifffile.imwrite(folder / name / "m.tif", movie, imagej=True, metadata={"axes": "TYX"})
        with pytest.raises(ValueError, match=r"images.m\.tif has 3 frames, .*masks.m\.tif 2"):
            read_folder(folder)

    def test_channels_are_picked(self, folder):
        stored = np.stack([BINARY * 9, BINARY * 5], axis=-1)
        tifffile.imwrite(folder / "images" / "a.tif", stored, photometric="minisblack")
        write_labels(folder / "masks" / "a.tif", BINARY)
        image = read_folder(folder, axes="YXC", channel=[1, 0])[0].image
        np.testing.assert_array_equal(image, stored[..., ::-1])

    def test_too_many_pixels(self, folder):
        fill(folder, a=BINARY)
        assert len(read_folder(folder, max_pixels=12)) == 1
        with pytest.raises(ValueError, match="the limit is 11"):
            read_folder(folder, max_pixels=11)

    def test_an_image_and_its_mask(self, folder):
        fill(folder, a=BINARY)
        image, mask = folder / "images" / "a.png", folder / "masks" / "a.png"
        (sample,) = read_folder(image, mask.rename(folder / "other.png"))
        assert sample.name == "a"
        np.testing.assert_array_equal(sample.instances, PARTS)
        for one, other in ((image, folder / "masks"), (folder / "images", folder / "other.png")):
            with pytest.raises(ValueError, match="is a file; give a folder or a file for both"):
                read_folder(one, other)


ILL_MASKS = [
    ("auto", [[0, 7, 255]], "values 0, 7, 255, which can mean several things.*kind="),
    ("auto", [[0, 1, 255]], "values 0, 1, 255, "),
    ("auto", [[0, 1, 2]], "values 0, 1, 2, "),
    ("auto", [list(range(13)) * 2], r"values 0, .*11, \.\.\., which"),  # every id in two pieces
    ("binary", [[0, 7, 255]], r"a\.png: a binary mask .* this one 0, 7, 255"),
    ("classes", [[0, 7, 255]], "values 0, 7, 255, which are not class numbers"),
    ("classes", [[1, 2, 2]], "values 1, 2, which are not class numbers"),
]


@pytest.mark.parametrize(("kind", "mask", "message"), ILL_MASKS)
def test_ill_masks(folder, kind, mask, message):
    fill(folder, a=np.array(mask))
    with pytest.raises(ValueError, match=message):
        read_folder(folder, kind=kind)


ILL_ARGUMENTS = [
    ({"kind": "semantic"}, "kind='semantic'"),
    ({"kind": "binary", "class_values": [0, 1]}, "kind binary have no classes"),
    ({"kind": "instances", "num_classes": 3}, "kind instances have no classes"),
    ({"kind": "classes", "num_classes": 1}, "at least 2, not 1"),
    ({"class_values": [0, 1, 2], "num_classes": 2}, "3 values of classes are more than 2 classes"),
    ({"class_values": "0,x"}, "whole numbers or colours, not 'x'"),
    ({"class_values": [0, 1.5]}, "whole numbers or colours, not 1.5"),
    ({"class_values": ["#ff00"]}, "not '#ff00'"),
    ({"ignore_class": "#ffffff"}, "all colours"),
    ({"class_values": "0,1", "ignore_class": "#ffffff"}, "all colours"),
    ({"kind": "classes", "class_values": [0, 1, 1]}, "must all differ"),
    ({"kind": "classes", "class_values": [0, 1], "ignore_class": 1}, "must all differ"),
    (
        {"kind": "classes", "class_values": [0, 5]},
        r"a\.png holds 1, which is no value of a class \(0, 5\)",
    ),
    ({"kind": "classes", "class_values": [(0, 0, 0)]}, "one value .* is not enough"),
    ({"kind": "classes", "class_values": [(0, 0, 0), (9, 9, 9)]}, r"1 colours .*\(1, 1, 1\)"),
    ({"kind": "classes", "class_values": [0, (1, 1, 1)]}, "RGB triples"),
]


@pytest.mark.parametrize(("options", "message"), ILL_ARGUMENTS)
def test_ill_arguments(folder, options, message):
    write_image(folder / "masks" / "a.png", BINARY)
    write_image(folder / "images" / "a.png", image_like(BINARY))
    with pytest.raises(ValueError, match=message):
        read_folder(folder, **options)


def test_real_nuclei(data_root):
    """One merged 16-bit mask per image, grey and colour images in one folder."""
    with (data_root / "dsb2018" / "index.csv").open() as file:
        index = {row["file"].removesuffix(".png"): row for row in csv.DictReader(file)}
    samples = read_folder(data_root / "dsb2018")
    assert len(samples) == 121
    for sample in samples:
        row = index[sample.name]
        assert sample.shape == (int(row["height"]), int(row["width"]))
        assert sample.channels == (1 if row["mode"] == "gray" else 3)
        assert len(np.unique(sample.instances)) - 1 == int(row["nuclei"])
