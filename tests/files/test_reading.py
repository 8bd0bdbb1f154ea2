"""Image and label files: formats, rules and what happens with broken ones."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile

from keras_unet.data import read_image, read_labels, write_image, write_labels

pytestmark = pytest.mark.core

GREY = np.arange(5 * 7, dtype=np.uint8).reshape(5, 7)
RGB = np.stack([GREY, GREY + 50, GREY + 100], axis=-1)


def png(rows, bits, colour, width, extra=()):
    """A PNG with exactly these bytes a row, for what OpenCV does not write."""

    def chunk(kind, body):
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    chunks = [(b"IHDR", head), *extra, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks)


def lzw_tiff(content, shape, bits, photometric, colours=None):
    """A TIFF with LZW data that never fills the table: clear code, literals, end code."""
    codes = "".join(f"{code:09b}" for code in (256, *content, 257))
    codes += "0" * (-len(codes) % 16)
    strip = int(codes, 2).to_bytes(len(codes) // 8, "big")
    table = b"" if colours is None else colours.astype("<u2").tobytes()
    fields = {256: shape[1], 257: shape[0], 258: bits, 259: 5, 262: photometric, 273: 8, 277: 1}
    fields |= {278: shape[0], 279: len(strip)}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items()]
    if table:
        entries.append(struct.pack("<HHII", 320, 3, len(table) // 2, 8 + len(strip)))
    head = b"II*\0" + struct.pack("<I", 8 + len(strip) + len(table))
    return head + strip + table + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)


def encode(suffix, array, *options):
    return cv2.imencode(suffix, array, *options)[1].tobytes()


class TestImages:
    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    def test_png_keeps_numbers(self, tmp_path, dtype):
        (tmp_path / "x.png").write_bytes(encode(".png", GREY.astype(dtype) * 7))
        image = read_image(tmp_path / "x.png")
        assert image.dtype == dtype
        np.testing.assert_array_equal(image[..., 0], GREY.astype(dtype) * 7)

    @pytest.mark.parametrize("suffix", [".png", ".bmp"])
    def test_colours_are_red_green_blue(self, tmp_path, suffix):
        (tmp_path / f"x{suffix}").write_bytes(encode(suffix, RGB[..., ::-1]))
        np.testing.assert_array_equal(read_image(tmp_path / f"x{suffix}"), RGB)

    def test_jpeg(self, tmp_path):
        flat = np.full((16, 24, 3), (200, 100, 50), np.uint8)
        (tmp_path / "x.jpg").write_bytes(encode(".jpg", flat[..., ::-1]))
        image = read_image(tmp_path / "x.jpg")
        assert image.shape == (16, 24, 3)
        np.testing.assert_allclose(image.astype(int), flat, atol=3)

    def test_opacity_is_dropped(self, tmp_path):
        rgba = np.dstack([RGB, np.arange(35, dtype=np.uint8).reshape(5, 7)])
        (tmp_path / "x.png").write_bytes(encode(".png", rgba[..., [2, 1, 0, 3]]))
        tifffile.imwrite(tmp_path / "x.tif", rgba, photometric="rgb", extrasamples=["unassalpha"])
        for name in ("x.png", "x.tif"):
            np.testing.assert_array_equal(read_image(tmp_path / name), RGB)

    def test_grey_with_opacity_stays_one_channel(self, tmp_path):
        (tmp_path / "x.png").write_bytes(png([[5, 255, 6, 128]], 8, 4, width=2))
        np.testing.assert_array_equal(read_image(tmp_path / "x.png"), [[[5], [6]]])

    def test_palette_becomes_colours(self, tmp_path):
        palette = (b"PLTE", bytes([0, 0, 0, 255, 0, 0, 0, 255, 0]))
        (tmp_path / "x.png").write_bytes(png([[0, 1, 2]], 8, 3, 3, [palette]))
        expected = [[[0, 0, 0], [255, 0, 0], [0, 255, 0]]]
        np.testing.assert_array_equal(read_image(tmp_path / "x.png"), expected)

    def test_one_bit_becomes_0_and_255(self, tmp_path):
        (tmp_path / "x.png").write_bytes(png([[0b10100000]], 1, 0, width=3))
        tifffile.imwrite(tmp_path / "x.tif", np.array([[True, False, True]]))
        for name in ("x.png", "x.tif"):
            np.testing.assert_array_equal(read_image(tmp_path / name)[..., 0], [[255, 0, 255]])

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "float32", "float64"])
    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_tiff_keeps_numbers(self, tmp_path, dtype, compression):
        tifffile.imwrite(tmp_path / "x.tif", GREY.astype(dtype), compression=compression)
        image = read_image(tmp_path / "x.tif")
        assert image.dtype == dtype
        np.testing.assert_array_equal(image[..., 0], GREY)

    def test_tiff_by_content_not_by_name(self, tmp_path):
        tifffile.imwrite(tmp_path / "x.tif", GREY)
        (tmp_path / "x.tif").rename(tmp_path / "x.png")
        np.testing.assert_array_equal(read_image(tmp_path / "x.png")[..., 0], GREY)

    def test_tiff_with_lzw(self, tmp_path):
        lzw = [cv2.IMWRITE_TIFF_COMPRESSION, 5]
        (tmp_path / "x.tif").write_bytes(encode(".tif", RGB[..., ::-1], lzw))
        np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), RGB)

    def test_tiff_with_planes(self, tmp_path):
        planes = np.moveaxis(RGB, -1, 0)
        tifffile.imwrite(tmp_path / "x.tif", planes, photometric="rgb", planarconfig="separate")
        np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), RGB)

    def test_tiff_with_four_measured_channels_keeps_all(self, tmp_path):
        stack = np.arange(5 * 7 * 4, dtype=np.uint16).reshape(5, 7, 4)
        options = {"photometric": "minisblack", "planarconfig": "contig"}
        tifffile.imwrite(tmp_path / "x.tif", stack, **options)
        np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), stack)

    def test_tiff_palette(self, tmp_path):
        colours = np.zeros((3, 256), np.uint16)
        colours[0] = np.arange(256) * 257
        options = {"photometric": "palette", "colormap": colours}
        tifffile.imwrite(tmp_path / "x.tif", GREY, **options)
        image = read_image(tmp_path / "x.tif")
        np.testing.assert_array_equal(image, np.dstack([GREY, 0 * GREY, 0 * GREY]))
        np.testing.assert_array_equal(read_labels(tmp_path / "x.tif"), GREY)

    def test_volume(self, tmp_path):
        volume = np.arange(3 * 5 * 7, dtype=np.uint16).reshape(3, 5, 7)
        tifffile.imwrite(tmp_path / "x.tif", volume, photometric="minisblack")
        np.testing.assert_array_equal(read_image(tmp_path / "x.tif", rank=3)[..., 0], volume)
        assert read_image(tmp_path / "x.tif", rank=None).shape == (3, 5, 7, 1)

    def test_volume_with_channels(self, tmp_path):
        stack = np.arange(4 * 2 * 5 * 7, dtype=np.uint16).reshape(4, 2, 5, 7)
        tifffile.imwrite(tmp_path / "x.tif", stack, imagej=True, metadata={"axes": "ZCYX"})
        image = read_image(tmp_path / "x.tif", rank=3)
        np.testing.assert_array_equal(image, np.moveaxis(stack, 1, -1))

    def test_channels(self, tmp_path):
        write_image(tmp_path / "grey.png", GREY)
        write_image(tmp_path / "rgb.png", RGB)
        assert read_image(tmp_path / "grey.png", channels=3).shape == (5, 7, 3)
        grey = read_image(tmp_path / "rgb.png", channels=1)
        assert grey.dtype == np.uint8
        assert grey[0, 0, 0] == round(0.587 * 50 + 0.114 * 100)
        with pytest.raises(ValueError, match=r"rgb\.png has 3 channels, not 2; give channel=0 or"):
            read_image(tmp_path / "rgb.png", channels=2)


class TestLabels:
    def test_16_bits(self, tmp_path):
        ids = np.array([[0, 300, 65535]])
        (tmp_path / "x.png").write_bytes(encode(".png", ids.astype(np.uint16)))
        labels = read_labels(tmp_path / "x.png")
        assert labels.dtype == np.int32
        np.testing.assert_array_equal(labels, ids)

    @pytest.mark.parametrize(
        ("bits", "row", "expected"),
        [(1, [0b10100000], [1, 0, 1]), (2, [0b01101100], [1, 2, 3]), (4, [0x1F, 0x70], [1, 15, 7])],
    )
    def test_few_bits_are_not_stretched(self, tmp_path, bits, row, expected):
        (tmp_path / "x.png").write_bytes(png([row], bits, 0, width=3))
        np.testing.assert_array_equal(read_labels(tmp_path / "x.png"), [expected])

    def test_one_bit_tiff(self, tmp_path):
        mask = np.eye(5, 7) > 0
        tifffile.imwrite(tmp_path / "x.tif", mask)
        np.testing.assert_array_equal(read_labels(tmp_path / "x.tif"), mask)

    @pytest.mark.parametrize("photometric", [0, 1])  # 0: zero is shown white
    @pytest.mark.parametrize("bits", [1, 8])
    def test_lzw_tiff_gives_stored_numbers(self, tmp_path, photometric, bits):
        labels = np.eye(8, 16, dtype=np.uint8) * (2**bits - 1) // 3 if bits == 8 else np.eye(8, 16)
        rows = labels.astype(np.uint8)
        rows = np.packbits(rows, axis=1) if bits == 1 else rows
        (tmp_path / "x.tif").write_bytes(lzw_tiff(rows.tobytes(), (8, 16), bits, photometric))
        np.testing.assert_array_equal(read_labels(tmp_path / "x.tif"), labels)

    def test_lzw_tiff_palette_gives_indices(self, tmp_path):
        colours = np.zeros((3, 256), np.uint16)
        colours[1] = np.arange(256)[::-1] * 257
        data = lzw_tiff(GREY.tobytes(), GREY.shape, 8, 3, colours)
        (tmp_path / "x.tif").write_bytes(data)
        np.testing.assert_array_equal(read_labels(tmp_path / "x.tif"), GREY)
        np.testing.assert_array_equal(read_image(tmp_path / "x.tif")[..., 1], 255 - GREY)

    def test_palette_gives_indices(self, tmp_path):
        palette = (b"PLTE", bytes([0, 0, 0, 255, 0, 0, 0, 255, 0]))
        opacity = (b"tRNS", bytes([0, 255, 255]))
        for extra in ([palette], [palette, opacity]):
            (tmp_path / "x.png").write_bytes(png([[0, 2, 1]], 8, 3, 3, extra))
            np.testing.assert_array_equal(read_labels(tmp_path / "x.png"), [[0, 2, 1]])

    def test_float_tiff_with_whole_numbers(self, tmp_path):
        tifffile.imwrite(tmp_path / "x.tif", GREY.astype(np.float32))
        np.testing.assert_array_equal(read_labels(tmp_path / "x.tif"), GREY)

    def test_rgb_and_rgba_that_are_grey(self, tmp_path):
        full = np.full_like(GREY, 255)
        for bands in ([GREY] * 3, [GREY] * 3 + [full]):
            (tmp_path / "x.png").write_bytes(encode(".png", np.dstack(bands)))
            np.testing.assert_array_equal(read_labels(tmp_path / "x.png"), GREY)

    def test_colours_as_ids(self, tmp_path):
        rgb = np.array([[[9, 0, 0], [0, 0, 0], [9, 0, 1]]], np.uint8)
        write_image(tmp_path / "x.png", rgb)
        np.testing.assert_array_equal(read_labels(tmp_path / "x.png", colors="ids"), [[1, 0, 2]])
        write_image(tmp_path / "grey.png", GREY)
        np.testing.assert_array_equal(read_labels(tmp_path / "grey.png", colors="ids"), GREY)

    def test_colours_as_classes(self, tmp_path):
        rgb = np.array([[[255, 0, 0], [0, 0, 0], [0, 0, 255]]], np.uint8)
        write_image(tmp_path / "x.png", rgb)
        table = [(0, 0, 0), (0, 0, 255), (255, 0, 0)]
        np.testing.assert_array_equal(read_labels(tmp_path / "x.png", colors=table), [[2, 0, 1]])

    def test_volume(self, tmp_path):
        volume = np.arange(3 * 5 * 7, dtype=np.uint16).reshape(3, 5, 7)
        write_labels(tmp_path / "x.tif", volume)
        np.testing.assert_array_equal(read_labels(tmp_path / "x.tif", rank=3), volume)


def _files(folder):
    """Broken and unsuitable files by name."""
    rgb_tiff = np.dstack([GREY.astype(np.float32)] * 2 + [GREY + 0.5])
    noise = np.random.default_rng(0).integers(0, 255, (64, 48), np.uint8)
    full_png, full_jpg = encode(".png", noise), encode(".jpg", noise)
    tifffile.imwrite(folder / "whole.tif", noise, compression="zlib")
    full_tif = (folder / "whole.tif").read_bytes()
    damaged = bytearray(full_png)
    damaged[len(damaged) // 2] ^= 0xFF
    contents = {
        "empty.png": b"",
        "text.png": b"this is no image at all",
        "text.tif": b"II*\0 but nothing that follows",
        "head.png": full_png[:12],
        "half.png": full_png[: len(full_png) // 2],
        "end.png": full_png[:-5],
        "damaged.png": bytes(damaged),
        "half.jpg": full_jpg[: len(full_jpg) // 2],
        "half.tif": full_tif[: len(full_tif) // 2],
        "head.tif": full_tif[:6],
        "zero.png": png([b""], 8, 0, width=0),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    tifffile.imwrite(folder / "nan.tif", np.array([[0.0, np.nan, np.inf]], np.float32))
    tifffile.imwrite(folder / "half_values.tif", np.array([[0.0, 0.5]], np.float32))
    tifffile.imwrite(folder / "negative.tif", np.array([[0, -3]], np.int16))
    tifffile.imwrite(folder / "complex.tif", np.array([[1j, 2.0]], np.complex64))
    tifffile.imwrite(folder / "pages.tif", np.zeros((3, 5, 7), np.uint8), photometric="minisblack")
    tifffile.imwrite(folder / "float_rgb.tif", rgb_tiff, photometric="rgb")
    alpha = np.dstack([0 * RGB, GREY])
    (folder / "alpha.png").write_bytes(encode(".png", alpha))
    write_image(folder / "colours.png", RGB)
    (folder / "folder.png").mkdir()


ILL_FILES = [
    ("empty.png", "is empty"),
    ("text.png", "not an image"),
    ("text.tif", "not a valid TIFF"),
    ("head.png", "truncated"),
    ("half.png", "truncated"),
    ("end.png", "truncated"),
    ("damaged.png", "damaged"),
    ("half.jpg", "truncated"),
    ("half.tif", "truncated"),
    ("head.tif", "truncated"),
    ("zero.png", "has no pixels"),
    ("folder.png", "is a folder"),
    ("pages.tif", "is 3 x 5 x 7 without names of its axes; give axes='YXC'"),
]
ILL_IMAGES = [("nan.tif", "has 2 NaN"), ("complex.tif", "complex")]
ILL_LABELS = [
    ("nan.tif", "whole numbers.*nan"),
    ("half_values.tif", r"whole numbers.*0\.5"),
    ("negative.tif", r"-3\.\.0"),
    ("colours.png", r"holds 35 colours \(\(0, 50, 100\).*colors="),
    ("alpha.png", "only the opacity varies"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ill")
    _files(folder)
    return folder


class TestErrors:
    @pytest.mark.parametrize(("name", "message"), ILL_FILES)
    def test_files(self, folder, name, message):
        for read in (read_image, read_labels):
            with pytest.raises(ValueError, match=rf"{name}.* ?{message}"):
                read(folder / name)

    @pytest.mark.parametrize(("name", "message"), ILL_IMAGES)
    def test_images(self, folder, name, message):
        with pytest.raises(ValueError, match=f"{name}.*{message}"):
            read_image(folder / name)

    @pytest.mark.parametrize(("name", "message"), ILL_LABELS)
    def test_labels(self, folder, name, message):
        with pytest.raises(ValueError, match=f"{name}.*{message}"):
            read_labels(folder / name)

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"none\.png"):
            read_image(tmp_path / "none.png")

    def test_jpeg_labels(self, tmp_path):
        (tmp_path / "x.jpg").write_bytes(encode(".jpg", GREY))
        with pytest.raises(ValueError, match=r"x\.jpg is a lossy JPEG"):
            read_labels(tmp_path / "x.jpg")

    def test_rank(self, folder):
        with pytest.raises(ValueError, match="not a volume"):
            read_image(folder / "colours.png", rank=3)
        with pytest.raises(ValueError, match="not 4; give rank=2"):
            read_image(folder / "colours.png", rank=4)

    @pytest.mark.parametrize(
        ("colors", "message"),
        [
            ("names", "colors='names'"),
            ([1, 2], "RGB triples"),
            ([], "RGB triples"),
            ([(0, 50, 100)], r"34 colours.*\(1, 51, 101\)"),
        ],
    )
    def test_colors(self, folder, colors, message):
        with pytest.raises(ValueError, match=message):
            read_labels(folder / "colours.png", colors=colors)

    def test_colors_of_a_float_file(self, folder):
        with pytest.raises(ValueError, match=r"float_rgb\.tif is not an RGB image"):
            read_labels(folder / "float_rgb.tif", colors="ids")
