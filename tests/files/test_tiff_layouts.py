"""Every layout of a TIFF in every compression gives the array that was written."""

from __future__ import annotations

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from keras_unet.data import read_image, read_labels

pytestmark = pytest.mark.core

RNG = np.random.default_rng(0)
BYTE_CODECS = (None, "lzw", "zlib", "zstd", "packbits", "lzma")
IMAGE_CODECS = {  # number of samples and kinds of numbers that these take
    "jpeg2000": ((1, 3, 4), ("uint8", "uint16", "int16")),
    "png": ((1, 2, 3, 4), ("uint8", "uint16")),
    "jpegxl": ((1, 3), ("uint8", "uint16")),
    "jpegxr": ((1, 3), ("uint8", "uint16")),
    "webp": ((3, 4), ("uint8",)),
    "lerc": ((1, 2, 3, 4, 5), ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32")),
}
ARGUMENTS = {"webp": {"lossless": True}, "jpegxl": {"lossless": True}}


def numbers(shape, dtype):
    if dtype == "bool":
        return RNG.integers(0, 2, shape).astype(bool)
    if np.dtype(dtype).kind == "f":
        return RNG.normal(0, 100, shape).astype(dtype)
    low = 0 if dtype.startswith("u") else -100
    return RNG.integers(low, 120, shape).astype(dtype)


def named(axes):
    return {"metadata": {"axes": axes}}


BLACK = {"photometric": "minisblack"}
MEASURED = {**BLACK, "planarconfig": "contig"}
RGB = {"photometric": "rgb"}
OPACITY = {**RGB, "extrasamples": ["unassalpha"]}
LAYOUTS = {  # shape, dtype, options, letters: A for channels of which the last is opacity
    "grey": ((18, 23), "uint8", {}, "YX"),
    "one bit": ((18, 23), "bool", {}, "YX"),
    "16 bits": ((18, 23), "uint16", {}, "YX"),
    "32 bits": ((18, 23), "uint32", {}, "YX"),
    "64 bits": ((18, 23), "int64", {}, "YX"),
    "signed 8": ((18, 23), "int8", {}, "YX"),
    "signed 16": ((18, 23), "int16", {}, "YX"),
    "half": ((18, 23), "float16", {}, "YX"),
    "single": ((18, 23), "float32", {}, "YX"),
    "double": ((18, 23), "float64", {}, "YX"),
    "big endian 16": ((18, 23), "uint16", {"byteorder": ">"}, "YX"),
    "big endian float": ((18, 23), "float32", {"byteorder": ">"}, "YX"),
    "BigTIFF": ((18, 23), "uint16", {"bigtiff": True}, "YX"),
    "strips": ((18, 23), "uint16", {"rowsperstrip": 5}, "YX"),
    "tiles": ((40, 37), "uint16", {"tile": (16, 32)}, "YX"),
    "white is zero": ((18, 23), "uint16", {"photometric": "miniswhite"}, "YX"),
    "predictor 2": ((18, 23), "uint16", {"predictor": 2}, "YX"),
    "predictor 2, big endian": ((18, 23), "uint16", {"predictor": 2, "byteorder": ">"}, "YX"),
    "predictor 2, tiles": ((40, 37, 3), "uint8", {"predictor": 2, "tile": (16, 32), **RGB}, "YXC"),
    "predictor 3": ((18, 23), "float32", {"predictor": 3}, "YX"),
    "predictor 3, half": ((18, 23), "float16", {"predictor": 3}, "YX"),
    "RGB": ((18, 23, 3), "uint8", RGB, "YXC"),
    "RGB, 16 bits": ((18, 23, 3), "uint16", RGB, "YXC"),
    "RGB in planes": ((3, 18, 23), "uint16", {**RGB, "planarconfig": "separate"}, "CYX"),
    "RGB in tiles": ((40, 37, 3), "uint8", {**RGB, "tile": (32, 16)}, "YXC"),
    "RGB and opacity": ((18, 23, 4), "uint8", OPACITY, "YXA"),
    "2 channels last": ((18, 23, 2), "uint16", MEASURED, "YXC"),
    "4 channels last": ((18, 23, 4), "uint8", MEASURED, "YXC"),
    "5 channels last": ((18, 23, 5), "uint16", MEASURED, "YXC"),
    "5 channels in planes": ((5, 18, 23), "uint16", {**BLACK, "planarconfig": 2}, "CYX"),
    "channels of tifffile": ((4, 18, 23), "uint16", {**BLACK, **named("CYX")}, "CYX"),
    "channels of ImageJ": ((2, 18, 23), "uint16", {"imagej": True, **named("CYX")}, "CYX"),
    "channels of OME": ((2, 18, 23), "uint16", {"ome": True, **BLACK, **named("CYX")}, "CYX"),
    "volume of ImageJ": ((4, 18, 23), "uint16", {"imagej": True, **named("ZYX")}, "ZYX"),
    "volume of OME": ((4, 18, 23), "uint16", {"ome": True, **BLACK, **named("ZYX")}, "ZYX"),
    "volume and channels": ((3, 2, 18, 23), "uint16", {"imagej": True, **named("ZCYX")}, "ZCYX"),
    "channels, volume": ((2, 3, 9, 7), "float32", {"ome": True, **BLACK, **named("CZYX")}, "CZYX"),
    "volume in colour": ((3, 18, 23, 3), "uint8", {**RGB, **named("ZYXS")}, "ZYXC"),
    "pages without names": ((4, 18, 23), "uint8", {**BLACK, "metadata": None}, "ZYX"),
}


def expected(array, letters):
    """What `read_image` gives: channels last, opacity dropped."""
    if letters.endswith("A"):
        return array[..., :-1]
    if "C" not in letters:
        return array[..., None]
    return np.moveaxis(array, letters.index("C"), -1)


def fits(compression, layout):
    shape, dtype, options, letters = LAYOUTS[layout]
    if compression in BYTE_CODECS:
        return compression is not None or "predictor" not in options
    samples, kinds = IMAGE_CODECS[compression]
    count = shape[-1] if letters[-1] in "CA" else 1
    return dtype in kinds and count in samples and not {"predictor", "byteorder"} & {*options}


CASES = [(c, name) for c in (*BYTE_CODECS, *IMAGE_CODECS) for name in LAYOUTS if fits(c, name)]


@pytest.mark.parametrize(("compression", "layout"), CASES)
def test_layout(tmp_path, compression, layout):
    shape, dtype, options, letters = LAYOUTS[layout]
    array = numbers(shape, dtype)
    rank = 3 if "Z" in letters else 2
    arguments = ARGUMENTS.get(compression, {})
    options = {**options, "compression": compression, "compressionargs": arguments}
    try:
        tifffile.imwrite(tmp_path / "x.tif", array, **options)
    except NotImplementedError:
        pytest.skip("old versions of tifffile write bits without these compressions")
    image = read_image(tmp_path / "x.tif", rank=rank)
    if dtype == "bool":
        array = array * np.uint8(255)
    np.testing.assert_array_equal(image, expected(array, letters))
    assert image.dtype == array.dtype


class TestOtherWriters:
    """What Pillow, OpenCV and hand-made files hold."""

    @pytest.mark.parametrize(
        "compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "group3", "group4"]
    )
    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16", "F", "CMYK"])
    def test_pillow(self, tmp_path, compression, mode):
        fax = compression in ("group3", "group4")
        if fax and mode != "1":
            pytest.skip("fax is for one bit")
        array = RNG.integers(0, 256, (18, 24, 4)).astype(np.uint8)
        count = {"RGB": 3, "RGBA": 4, "LA": 2, "CMYK": 4}.get(mode, 0)
        array = array[..., :count] if count else array[..., 0]
        if mode == "1":
            array = array > 127
        elif mode in ("I;16", "F"):
            array = array.astype("uint16" if mode == "I;16" else "float32") * 200
        picture = Image.fromarray(array) if mode not in ("P", "CMYK") else None
        if mode == "P":
            picture = Image.fromarray(array)
            picture.putpalette([k * 7 % 256 for k in range(768)])
        elif mode == "CMYK":
            picture = Image.frombytes("CMYK", (24, 18), array.tobytes())
        picture.save(tmp_path / "x.tif", compression=compression)
        if fax and not hasattr(imagecodecs, "CCITTFAX4"):
            with pytest.raises(ValueError, match="no decoder for CCITT group"):
                read_image(tmp_path / "x.tif")
            return
        image = read_image(tmp_path / "x.tif")
        if mode == "P":
            np.testing.assert_array_equal(read_labels(tmp_path / "x.tif"), array)
            colours = np.array([k * 7 % 256 for k in range(768)]).reshape(256, 3)
            np.testing.assert_array_equal(image, colours[array])
        elif mode == "1":
            np.testing.assert_array_equal(read_labels(tmp_path / "x.tif"), array)
            np.testing.assert_array_equal(image[..., 0], array * 255)
        else:
            drop = -1 if mode in ("RGBA", "LA") else None
            np.testing.assert_array_equal(image, np.atleast_3d(array)[..., :drop])

    @pytest.mark.parametrize("compression", [1, 5, 8, 32773])
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    def test_opencv(self, tmp_path, compression, dtype):
        array = numbers((18, 23, 3), dtype)
        options = [cv2.IMWRITE_TIFF_COMPRESSION, compression]
        data = cv2.imencode(".tif", array[..., ::-1], options)[1]
        (tmp_path / "x.tif").write_bytes(data.tobytes())
        np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), array)

    @pytest.mark.parametrize("bits", [1, 2, 4])
    @pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits", "zstd"])
    def test_palette_of_few_bits(self, tmp_path, bits, compression):
        array = numbers((18, 24), "uint8") % 2**bits
        colours = (320, "H", 3 * 2**bits, [0] * 3 * 2**bits, True)  # one colour for all indices
        bytes_ = np.packbits(
            np.unpackbits(array[..., None], axis=-1)[..., -bits:].reshape(18, -1), 1
        )
        options = {**BLACK, "compression": compression, "extratags": [colours]}
        tifffile.imwrite(tmp_path / "x.tif", bytes_, metadata=None, **options)
        with tifffile.TiffFile(tmp_path / "x.tif", mode="r+b") as file:
            tags = file.pages.first.tags
            tags["PhotometricInterpretation"].overwrite(3)
            tags["BitsPerSample"].overwrite(bits)
            tags["ImageWidth"].overwrite(24)
        np.testing.assert_array_equal(read_labels(tmp_path / "x.tif"), array)
        assert not read_image(tmp_path / "x.tif").any()

    @pytest.mark.parametrize("step", [256, 257])
    def test_palette_by_colour(self, tmp_path, step):
        array = numbers((18, 23), "uint8") % 3
        colours = np.zeros((3, 256), np.uint16)
        colours[0, 1], colours[1, 2] = 255 * step, 254 * step
        tifffile.imwrite(tmp_path / "x.tif", array, photometric="palette", colormap=colours)
        table = [(0, 0, 0), (255, 0, 0), (0, 254, 0)]
        np.testing.assert_array_equal(read_labels(tmp_path / "x.tif", colors=table), array)

    @pytest.mark.parametrize("levels", [(1, 2, 4), (1, 2, 4, 8)])
    @pytest.mark.parametrize("nested", [False, True])
    def test_pyramid(self, tmp_path, levels, nested):
        full = numbers((65, 81), "uint16")  # odd: the second level has a bit more than a quarter
        with tifffile.TiffWriter(tmp_path / "x.tif") as file:
            for step in levels:
                options = {"subifds": len(levels) - 1} if nested and step == 1 else {}
                file.write(full[::step, ::step], metadata=None, compression="lzw", **options)
        np.testing.assert_array_equal(read_image(tmp_path / "x.tif")[..., 0], full)
