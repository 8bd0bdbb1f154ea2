"""Which image of a TIFF is read, whether it is whole, and what is said of it."""

from __future__ import annotations

import logging

import imagecodecs
import numpy as np
import pytest
import tifffile

from keras_unet.data import read_image, read_labels
from keras_unet.files.reading import frames_in
from keras_unet.files.spacing import read_spacing
from tests.files.tiff_files import ome_text, write_pages

pytestmark = pytest.mark.core

PLANES = np.arange(1, 8 * 5 * 7 + 1, dtype=np.uint16).reshape(8, 5, 7)
NOISE = np.random.default_rng(0).integers(0, 255, (64, 48)).astype(np.uint8)


class TestSeries:
    @pytest.mark.parametrize("first", [True, False])
    def test_thumbnail(self, tmp_path, first):
        pages = [NOISE[::4, ::4], NOISE] if first else [NOISE, NOISE[::4, ::4]]
        path = write_pages(tmp_path / "x.tif", pages)
        np.testing.assert_array_equal(read_image(path)[..., 0], NOISE)

    def test_a_level_that_says_it_is_one(self, tmp_path):
        with tifffile.TiffWriter(tmp_path / "x.tif") as file:
            file.write(NOISE, metadata=None)
            file.write(NOISE[::3, ::2], metadata=None, subfiletype=1)
        np.testing.assert_array_equal(read_image(tmp_path / "x.tif")[..., 0], NOISE)

    @pytest.mark.parametrize("count", [2, 3, 12])
    def test_several_images(self, tmp_path, count):
        pages = [NOISE[: 40 + k, :30] for k in range(count)]
        path = write_pages(tmp_path / "x.tif", pages)
        with pytest.raises(ValueError, match=rf"x\.tif holds {count} images \(40 x 30, 41"):
            read_image(path, rank=None)
        with pytest.raises(ValueError, match=f"holds {count} images"):
            frames_in(path)

    def test_positions_of_ome(self, tmp_path):
        with tifffile.TiffWriter(tmp_path / "x.ome.tif", ome=True) as file:
            for k in range(3):
                file.write(PLANES[k], photometric="minisblack")
        with pytest.raises(ValueError, match=r"holds 3 images \(5 x 7, 5 x 7, 5 x 7\)"):
            read_image(tmp_path / "x.ome.tif")


class TestPlanes:
    @pytest.mark.parametrize("count", [1, 5, 7])
    @pytest.mark.parametrize("axes", [None, "ZYX"])
    def test_ome_with_missing_planes(self, tmp_path, count, axes):
        path = write_pages(tmp_path / "x.ome.tif", PLANES[:count], ome_text(8))
        for rank in (2, 3):
            with pytest.raises(ValueError, match=rf"{count} of 8 planes are in .*x\.ome\.tif"):
                read_image(path, rank=rank, axes=axes)

    def test_ome_with_more_pages_than_it_says(self, tmp_path):
        path = write_pages(tmp_path / "x.ome.tif", PLANES, ome_text(5))
        with pytest.raises(ValueError, match="has 8 pages, its OME metadata tell of 5"):
            read_image(path, rank=3)

    @pytest.mark.parametrize("name", ["0.ome.tif", "renamed.tif"])
    def test_one_file_of_a_set(self, tmp_path, name):
        files = {k: f"{k}.ome.tif" for k in range(8)}
        for k in range(1, 8):
            write_pages(tmp_path / files[k], [PLANES[k]])
        path = write_pages(tmp_path / name, [PLANES[0]], ome_text(8, files=files))
        np.testing.assert_array_equal(read_image(path)[..., 0], PLANES[0])
        with pytest.raises(ValueError, match="holds 1 of 8 planes of a set"):
            read_image(path, rank=3)

    def test_several_planes_of_a_set(self, tmp_path):
        files = {k: f"{k // 2}.ome.tif" for k in range(8)}
        path = write_pages(tmp_path / "0.ome.tif", PLANES[:2], ome_text(8, files=files))
        for axes in (None, "ZYX"):
            with pytest.raises(ValueError, match="holds 2 of 8 planes of a set"):
                read_image(path, rank=3, axes=axes)

    def test_metadata_in_another_file(self, tmp_path):
        text = (
            '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
            '<BinaryOnly MetadataFile="x.companion.ome" UUID="urn:uuid:1"/></OME>'
        )
        path = write_pages(tmp_path / "x.ome.tif", PLANES[:1], text)
        np.testing.assert_array_equal(read_image(path)[..., 0], PLANES[0])
        with pytest.raises(ValueError, match="holds 1 of more planes of a set"):
            read_image(path, rank=3)

    def test_an_ome_file_under_another_name(self, tmp_path):
        tifffile.imwrite(
            tmp_path / "x.ome.tif", PLANES, photometric="minisblack", metadata={"axes": "ZYX"}
        )
        path = (tmp_path / "x.ome.tif").rename(tmp_path / "y.tif")
        np.testing.assert_array_equal(read_image(path, rank=3)[..., 0], PLANES)

    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_cut_hyperstack_of_imagej(self, tmp_path, compression):
        options = {"imagej": True, "metadata": {"axes": "ZYX"}, "compression": compression}
        if compression:  # as other programs write them; tifffile's own are uncompressed
            text = "ImageJ=1.53t\nimages=8\nslices=8\nhyperstack=true\n"
            write_pages(tmp_path / "x.tif", PLANES[:3], text, compression="zlib")
        else:
            tifffile.imwrite(tmp_path / "x.tif", PLANES, **options)
            data = (tmp_path / "x.tif").read_bytes()
            (tmp_path / "x.tif").write_bytes(data[: -4 * 70])
        message = r"3 of 8 planes" if compression else r"x\.tif.*truncated|of 8 planes"
        for rank in (2, 3):
            with pytest.raises(ValueError, match=message):
                read_image(tmp_path / "x.tif", rank=rank)

    @pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd", "jpeg2000"])
    @pytest.mark.parametrize("lost", [1, 300, 2000])
    def test_truncated(self, tmp_path, compression, lost):
        path = tmp_path / "x.tif"
        tifffile.imwrite(path, NOISE, compression=compression, rowsperstrip=16)
        path.write_bytes(path.read_bytes()[:-lost])
        with pytest.raises(ValueError, match=rf"x\.tif is truncated: {lost} bytes"):
            read_image(path)

    def test_strips_that_were_never_written(self, tmp_path):
        path = tmp_path / "x.tif"
        tifffile.imwrite(path, NOISE, compression="zlib", rowsperstrip=16)
        with tifffile.TiffFile(path, mode="r+b") as file:
            counts = file.pages.first.databytecounts
            file.pages.first.tags["StripByteCounts"].overwrite([*counts[:2], 0, 0])
        with pytest.raises(ValueError, match="is incomplete: 2 of 4 strips of a page exist"):
            read_image(path)

    def test_pages_beyond_the_end(self, tmp_path):
        path = write_pages(tmp_path / "x.tif", PLANES)
        with tifffile.TiffFile(path) as file:
            cut = file.pages[5].offset + 4
        path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(ValueError, match=r"x\.tif is truncated.*page 6 is beyond"):
            read_image(path, rank=3)

    def test_an_entry_that_cannot_be_read(self, tmp_path):
        path = tmp_path / "x.tif"
        tifffile.imwrite(path, np.dstack([NOISE] * 3), photometric="rgb")
        with tifffile.TiffFile(path) as file:
            entry = file.pages.first.tags["BitsPerSample"].offset
        data = bytearray(path.read_bytes())
        data[entry + 8 : entry + 12] = b"\xff\xff\xff\x7f"  # where its three numbers are
        path.write_bytes(data)
        with pytest.raises(ValueError, match="its entries BitsPerSample cannot be read"):
            read_image(path)


class TestFrames:
    @pytest.mark.parametrize("compression", [None, "zlib"])
    @pytest.mark.parametrize("byteorder", ["<", ">"])
    def test_only_the_frame_is_decoded(self, tmp_path, compression, byteorder, monkeypatch):
        stack = PLANES.reshape(4, 2, 5, 7)
        options = {"photometric": "minisblack", "metadata": {"axes": "TZYX"}}
        options |= {"compression": compression, "byteorder": byteorder}
        tifffile.imwrite(tmp_path / "x.tif", stack, **options)
        decoded = []
        decode = tifffile.TIFF.DECOMPRESSORS[8]
        monkeypatch.setitem(
            tifffile.TIFF.DECOMPRESSORS._codecs,
            8,
            lambda *args, **kwargs: decoded.append(1) or decode(*args, **kwargs),
        )
        for k in range(4):
            image = read_image(tmp_path / "x.tif", rank=3, frame=k)
            np.testing.assert_array_equal(image[..., 0], stack[k])
            assert image.dtype == np.dtype("uint16")
        assert len(decoded) == (8 if compression else 0)
        image = read_image(tmp_path / "x.tif", rank=2, axes="TCYX", frame=3)
        np.testing.assert_array_equal(image, np.moveaxis(stack[3], 0, -1))


class TestCodecs:
    @pytest.mark.parametrize(
        "number", [5, 8, 22610, 33003, 34712, 34925, 34933, 50000, 50001, 50002]
    )
    def test_damaged_data(self, tmp_path, number, monkeypatch):
        codecs = tifffile.TIFF.COMPRESSORS._codecs
        junk = b"\xff\x4f\xff\x51" + NOISE[:20].tobytes()
        monkeypatch.setitem(codecs, number, lambda data, *args, **options: junk)
        tifffile.imwrite(
            tmp_path / "x.tif", np.dstack([NOISE] * 3), photometric="rgb", compression=number
        )
        with pytest.raises(ValueError, match=r"x\.tif: its .* data cannot be decoded \(") as caught:
            read_image(tmp_path / "x.tif")
        assert "truncated" not in str(caught.value)

    def test_overwritten_lzw(self, tmp_path):
        tifffile.imwrite(tmp_path / "x.tif", NOISE, compression="lzw")
        data = bytearray((tmp_path / "x.tif").read_bytes())
        data[-1500:-1200] = bytes(300)
        (tmp_path / "x.tif").write_bytes(data)
        with pytest.raises(ValueError, match=r"x\.tif: its LZW data cannot be decoded"):
            read_image(tmp_path / "x.tif")

    @pytest.mark.parametrize(
        ("error", "message"),
        [
            (
                ImportError("no zstd here"),
                "no decoder for Zstandard is installed; update imagecodecs",
            ),
            (MemoryError(), "does not fit into the memory"),
            (RecursionError("deep"), r"its Zstandard data cannot be decoded \(deep"),
            (IndexError(), r"cannot be decoded \(IndexError\)"),
        ],
    )
    def test_causes(self, tmp_path, monkeypatch, error, message):
        tifffile.imwrite(tmp_path / "x.tif", NOISE, compression="zstd")

        def fail(*args, **options):
            raise error

        monkeypatch.setitem(tifffile.TIFF.DECOMPRESSORS._codecs, 50000, fail)
        with pytest.raises(ValueError, match=rf"x\.tif.*{message}"):
            read_image(tmp_path / "x.tif")

    def test_unknown_compression(self, tmp_path):
        tifffile.imwrite(tmp_path / "x.tif", NOISE)
        with tifffile.TiffFile(tmp_path / "x.tif", mode="r+b") as file:
            file.pages.first.tags["Compression"].overwrite(34715)
        with pytest.raises(ValueError, match="no decoder for compression 34715 is installed"):
            read_image(tmp_path / "x.tif")


class TestLossyMasks:
    MASK = (np.indices((64, 48)).sum(0) // 9 % 2 * 255).astype(np.uint8)

    @pytest.mark.parametrize(
        ("compression", "arguments", "name"),
        [
            ("jpeg", {"level": 60}, "JPEG"),
            ("jpeg2000", {"level": 60}, "JPEG 2000"),
            ("jpegxr", {"level": 60}, "JPEG XR"),
            ("jpegxl", {"lossless": False, "distance": 1.0}, "JPEG XL"),
            ("webp", {"level": 60, "lossless": False}, "WebP"),
            ("lerc", {"level": 2.0}, "LERC"),
        ],
    )
    def test_refused(self, tmp_path, compression, arguments, name):
        mask = np.dstack([self.MASK] * 3) if compression == "webp" else self.MASK
        options = {"compression": compression, "compressionargs": arguments}
        photometric = "rgb" if compression == "webp" else "minisblack"
        tifffile.imwrite(tmp_path / "x.tif", mask, photometric=photometric, **options)
        assert read_image(tmp_path / "x.tif").shape[:2] == self.MASK.shape
        for colors in (None, "ids"):
            with pytest.raises(ValueError, match=f"is a lossy {name}, which changes label values"):
                read_labels(tmp_path / "x.tif", colors=colors)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    @pytest.mark.parametrize(
        ("compression", "arguments"),
        [
            ("jpeg2000", {}),
            ("jpeg2000", {"codecformat": "j2k"}),
            ("jpegxl", {"lossless": True}),
            ("lerc", {}),
            ("png", {}),
        ],
    )
    def test_lossless(self, tmp_path, dtype, compression, arguments):
        mask = self.MASK.astype(dtype)
        options = {"compression": compression, "compressionargs": arguments}
        tifffile.imwrite(tmp_path / "x.tif", mask, **options)
        np.testing.assert_array_equal(read_labels(tmp_path / "x.tif"), mask)

    def test_lossless_webp(self, tmp_path):
        options = {"compression": "webp", "compressionargs": {"lossless": True}}
        tifffile.imwrite(
            tmp_path / "x.tif", np.dstack([self.MASK] * 3), photometric="rgb", **options
        )
        np.testing.assert_array_equal(read_labels(tmp_path / "x.tif"), self.MASK)

    def test_lerc_of_float_numbers(self, tmp_path):
        mask = self.MASK.astype(np.float32)
        for level, lossy in ((0, False), (0.25, True)):
            options = {"compression": "lerc", "compressionargs": {"level": level}}
            tifffile.imwrite(tmp_path / "x.tif", mask, **options)
            if lossy:
                with pytest.raises(ValueError, match="is a lossy LERC"):
                    read_labels(tmp_path / "x.tif")
            else:
                np.testing.assert_array_equal(read_labels(tmp_path / "x.tif"), mask)

    def test_a_jpeg_in_the_dress_of_jpeg_xl(self, tmp_path, monkeypatch):
        data = imagecodecs.jpegxl_encode_jpeg(imagecodecs.jpeg8_encode(self.MASK, level=60))
        monkeypatch.setitem(tifffile.TIFF.COMPRESSORS._codecs, 50002, lambda *args, **options: data)
        tifffile.imwrite(tmp_path / "x.tif", self.MASK, compression=50002, rowsperstrip=64)
        with pytest.raises(ValueError, match="is a lossy JPEG XL"):
            read_labels(tmp_path / "x.tif")


class TestNotes:
    def test_white_is_zero(self, tmp_path, caplog):
        tifffile.imwrite(tmp_path / "x.tif", NOISE, photometric="miniswhite")
        np.testing.assert_array_equal(read_labels(tmp_path / "x.tif"), NOISE)
        assert not caplog.messages
        np.testing.assert_array_equal(read_image(tmp_path / "x.tif")[..., 0], NOISE)
        (message,) = caplog.messages
        assert message.startswith("zero means white in ")
        assert message.endswith("x.tif; not inverted")

    @pytest.mark.parametrize(("value", "said"), [(1, 0), (3, 1), (6, 1), (8, 1), (0, 0)])
    def test_orientation(self, tmp_path, caplog, value, said):
        tags = [(274, "H", 1, value, True)]
        tifffile.imwrite(tmp_path / "x.tif", NOISE, extratags=tags)
        np.testing.assert_array_equal(read_image(tmp_path / "x.tif")[..., 0], NOISE)
        assert len([m for m in caplog.messages if "orientation" in m]) == said

    def test_tifffile_is_silent_here_and_not_elsewhere(self, tmp_path, caplog):
        path = write_pages(tmp_path / "x.ome.tif", PLANES[:3], ome_text(8))
        with pytest.raises(ValueError, match="3 of 8 planes"):
            read_image(path, rank=3)
        assert not caplog.records
        logging.getLogger("tifffile").warning("of another")
        assert caplog.messages == ["of another"]


class TestLimits:
    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_pixels_are_counted_before_they_are_read(self, tmp_path, compression):
        path = tmp_path / "x.tif"
        options = {"imagej": True, "metadata": {"axes": "TCYX"}, "compression": compression}
        tifffile.imwrite(path, PLANES.reshape(4, 2, 5, 7), **options)
        with pytest.raises(ValueError, match=r"x\.tif has 4 x 5 x 7 = 140 pixels.* 139"):
            read_image(path, rank=3, max_pixels=139)
        assert read_image(path, rank=3, max_pixels=140).shape == (4, 5, 7, 2)
        assert read_image(path, frame=1, max_pixels=35).shape == (5, 7, 2)
        with pytest.raises(ValueError, match=r"5 x 7 = 35 pixels"):
            read_labels(path, frame=1, max_pixels=34)

    def test_a_header_that_lies(self, tmp_path):
        path = tmp_path / "x.tif"
        tifffile.imwrite(path, NOISE, compression="zlib", rowsperstrip=64)
        with tifffile.TiffFile(path, mode="r+b") as file:
            for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
                file.pages.first.tags[name].overwrite(100_000)
        with pytest.raises(ValueError, match="10,000,000,000 pixels, the limit is 268,435,456"):
            read_image(path)


class TestNames:
    def test_of_channels(self, tmp_path):
        names = ("DAPI", "GFP")
        path = write_pages(tmp_path / "x.ome.tif", PLANES[:2], ome_text(2, names))
        np.testing.assert_array_equal(read_image(path, channel="GFP")[..., 0], PLANES[1])
        with pytest.raises(ValueError, match=r"x\.ome\.tif has 2 channels \(DAPI, GFP\)"):
            read_image(path, channel="CFP")
        metadata = {"axes": "CYX", "Labels": ["nuclei", "cells"]}
        tifffile.imwrite(tmp_path / "y.tif", PLANES[:2], imagej=True, metadata=metadata)
        image = read_image(tmp_path / "y.tif", channel="cells,nuclei")
        np.testing.assert_array_equal(image, np.moveaxis(PLANES[[1, 0]], 0, -1))

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("x.czi", b"anything", "Zeiss CZI"),
            ("x.LIF", b"anything", "Leica LIF"),
            ("x.nd2", b"anything", "Nikon ND2"),
            ("x.oib", b"anything", "Olympus OIB"),
            ("x.tif", b"ZISRAWFILE", "Zeiss CZI"),
            ("x.vsi", None, "Olympus VSI"),
        ],
    )
    def test_of_microscopes(self, tmp_path, name, content, message):
        if content is None:  # a TIFF that holds a preview
            tifffile.imwrite(tmp_path / name, NOISE)
        else:
            (tmp_path / name).write_bytes(content)
        for read in (read_image, read_labels, frames_in):
            with pytest.raises(ValueError, match=f"is a {message} file; export it as TIFF"):
                read(tmp_path / name)


def test_spacing_is_quiet(tmp_path, caplog):
    path = write_pages(tmp_path / "x.ome.tif", PLANES[:3], ome_text(8))
    assert read_spacing(path) is None
    assert not caplog.records
