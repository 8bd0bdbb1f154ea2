"""PNG, JPEG, BMP, GIF and WebP of several writers: the numbers that went in come out."""

from __future__ import annotations

import io

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tests.files.raster_files import (
    bmp,
    exif,
    palette_chunks,
    pillow,
    png,
    png_chunk,
    webp_chunk,
    webp_with_exif,
)

pytestmark = pytest.mark.core

RNG = np.random.default_rng(0)
SHAPE = (13, 21)
COLOURS = RNG.integers(0, 256, (256, 3), np.uint8)
PALETTES = {
    "all different": COLOURS,
    "in turn": COLOURS[np.arange(256) % 5],
    "never set": np.zeros((256, 3), np.uint8),
    "grey": np.repeat(np.arange(256)[::-1, None], 3, axis=1),
}


def noise(bits: int, *channels: int) -> np.ndarray:
    values = RNG.integers(0, 2**bits, SHAPE + channels)
    return values.astype(np.uint16 if bits == 16 else np.uint8)


def opencv(array: np.ndarray, suffix: str) -> bytes:
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[array.shape[-1]]
    return cv2.imencode(suffix, array[..., order])[1].tobytes()


class TestPng:
    @pytest.mark.parametrize("interlaced", [False, True])
    @pytest.mark.parametrize("bits", [1, 2, 4, 8])
    def test_palettes_give_stored_indices(self, image, labels, bits, interlaced):
        indices = noise(bits)
        for colours in PALETTES.values():
            for opacity in (b"", bytes(2**bits)):
                extra = palette_chunks(colours[: 2**bits], opacity)
                data = png(indices, bits, 3, interlaced, extra)
                np.testing.assert_array_equal(labels(data), indices)
                np.testing.assert_array_equal(image(data), colours[indices])

    @pytest.mark.parametrize("entries", [1, 3])
    def test_indices_beyond_the_palette_stay(self, image, labels, entries):
        indices = noise(8)
        data = png(indices, 8, 3, extra=palette_chunks(COLOURS[:entries]))
        np.testing.assert_array_equal(labels(data), indices)
        shown = np.where((indices < entries)[..., None], COLOURS[indices], 0)
        np.testing.assert_array_equal(image(data), shown)

    @pytest.mark.parametrize("interlaced", [False, True])
    @pytest.mark.parametrize("bits", [8, 16])
    @pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
    def test_all_other_kinds(self, image, bits, colour, channels, interlaced):
        values = noise(bits, channels)
        read = image(png(values, bits, colour, interlaced))
        assert read.dtype == values.dtype
        np.testing.assert_array_equal(read, values[..., : 1 if channels < 3 else 3])

    @pytest.mark.parametrize("interlaced", [False, True])
    @pytest.mark.parametrize("bits", [1, 2, 4])
    def test_few_bits(self, image, labels, bits, interlaced):
        values = noise(bits)
        data = png(values, bits, 0, interlaced)
        np.testing.assert_array_equal(labels(data), values)
        np.testing.assert_array_equal(image(data)[..., 0], values * (255 // (2**bits - 1)))

    @pytest.mark.parametrize("bits", [8, 16])
    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_three_writers(self, image, bits, channels):
        values = noise(bits, channels)
        files = [opencv(values, ".png"), imagecodecs.png_encode(values)]
        if bits == 8 or channels == 1:
            files.append(pillow(values.squeeze(), "PNG"))
        for data in files:
            np.testing.assert_array_equal(image(data), values[..., :3])

    def test_a_key_colour_is_no_channel(self, image, labels):
        grey, rgb = noise(8), noise(16, 3)
        np.testing.assert_array_equal(labels(png(grey, extra=[(b"tRNS", b"\0\7")])), grey)
        np.testing.assert_array_equal(image(png(rgb, 16, 2, extra=[(b"tRNS", bytes(6))])), rgb)

    @pytest.mark.parametrize("entries", [2, 3, 16, 200])
    def test_what_pillow_writes_for_palettes(self, labels, entries):
        indices = noise(8) % entries
        picture = Image.fromarray(indices.astype(np.uint8))
        picture.putpalette([7] * 3 * entries)
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", transparency=0)
        np.testing.assert_array_equal(labels(buffer.getvalue()), indices)


class TestBmp:
    @pytest.mark.parametrize("bits", [1, 4, 8])
    @pytest.mark.parametrize("name", PALETTES)
    def test_palettes_give_stored_indices(self, image, labels, bits, name):
        indices, colours = noise(bits), PALETTES[name][: 2**bits]
        data = bmp(indices, colours, bits)
        np.testing.assert_array_equal(labels(data), indices)
        channels = 1 if name in ("never set", "grey") else 3
        np.testing.assert_array_equal(image(data), colours[indices][..., :channels])

    @pytest.mark.parametrize(("bits", "entries"), [(8, 2), (4, 2), (8, 16), (8, 1)])
    def test_short_grey_palettes(self, image, labels, bits, entries):
        indices = noise(8) % entries
        grey = np.linspace(0, 255, entries).astype(np.uint8) if entries != 16 else np.arange(16)
        data = bmp(indices, np.stack([grey] * 3, axis=1), bits)
        np.testing.assert_array_equal(labels(data), indices)
        np.testing.assert_array_equal(image(data)[..., 0], grey[indices])

    @pytest.mark.parametrize("channels", [1, 3])
    def test_three_writers(self, image, channels):
        values = noise(8, channels)
        files = [opencv(values, ".bmp"), pillow(values.squeeze(), "BMP")]
        for data in [*files, imagecodecs.bmp_encode(values.squeeze())]:
            np.testing.assert_array_equal(image(data), values)

    def test_one_bit_of_pillow(self, image, labels):
        mask = noise(1) > 0
        np.testing.assert_array_equal(labels(pillow(mask, "BMP")), mask)
        np.testing.assert_array_equal(image(pillow(mask, "BMP"))[..., 0], mask * 255)


class TestGifAndWebp:
    def test_gif_gives_stored_indices(self, image, labels):
        indices = noise(8)
        for colours in PALETTES.values():
            picture = Image.fromarray(indices)
            picture.putpalette(colours.astype(np.uint8).tobytes())
            buffer = io.BytesIO()
            picture.save(buffer, "GIF", optimize=False, transparency=3)
            np.testing.assert_array_equal(labels(buffer.getvalue()), indices)
            np.testing.assert_array_equal(image(buffer.getvalue()), colours[indices])

    def test_grey_gif(self, image, labels):
        values = noise(8)
        data = pillow(values, "GIF", optimize=False)
        np.testing.assert_array_equal(labels(data), values)
        np.testing.assert_array_equal(image(data)[..., 0], values)

    @pytest.mark.parametrize("channels", [3, 4])
    def test_lossless_webp_of_three_writers(self, image, channels):
        values = noise(8, channels)
        files = [
            pillow(values, "WEBP", lossless=True, exact=True),
            imagecodecs.webp_encode(values, lossless=True),
        ]
        if channels == 3:
            files.append(opencv(values, ".webp"))
        for data in files[:1] if channels == 4 else files:
            np.testing.assert_array_equal(image(data), values[..., :3])

    def test_lossless_webp_is_taken_as_labels(self, labels):
        grey = noise(8)
        data = pillow(np.dstack([grey] * 3), "WEBP", lossless=True)
        np.testing.assert_array_equal(labels(data), grey)


@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_decoded_as_others_do(image, channels, subsampling):
    smooth = cv2.GaussianBlur(noise(8, channels), (0, 0), 3).reshape(*SHAPE, channels)
    data = pillow(smooth.squeeze(), "JPEG", subsampling=subsampling)
    read = image(data).squeeze()
    np.testing.assert_array_equal(read, imagecodecs.jpeg8_decode(data))
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read, bgr if channels == 1 else bgr[..., ::-1])


def test_four_inks_become_red_green_blue(image):
    smooth = cv2.GaussianBlur(noise(8, 3), (0, 0), 3)
    buffer = io.BytesIO()
    Image.fromarray(smooth).convert("CMYK").save(buffer, "JPEG", quality=95)
    assert abs(image(buffer.getvalue()).astype(int) - smooth).mean() < 2


LOSSY = {
    "JPEG": lambda array: pillow(array, "JPEG"),
    "WebP of Pillow": lambda array: pillow(array, "WEBP"),
    "WebP of imagecodecs": lambda array: imagecodecs.webp_encode(array, level=80, lossless=False),
    "WebP with opacity": lambda array: pillow(np.dstack([array, noise(8)]), "WEBP", lossless=False),
    "WebP with EXIF": lambda array: webp_with_exif(pillow(array, "WEBP"), exif(1), *SHAPE[::-1]),
}


@pytest.mark.parametrize("name", LOSSY)
@pytest.mark.parametrize("colors", [None, "ids", [(0, 0, 0), (255, 255, 255)]])
def test_lossy_masks_are_refused(labels, image, name, colors):
    mask = np.dstack([(noise(1) * 255).astype(np.uint8)] * 3)
    data = LOSSY[name](mask)
    assert image(data).shape == mask.shape
    with pytest.raises(ValueError, match=f"x is a lossy {name[:4]}.*changes label values"):
        labels(data, colors=colors)


def animated(format_: str) -> bytes:
    frames = [Image.fromarray(noise(8)) for _ in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format_, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


@pytest.mark.parametrize("format_", ["GIF", "PNG", "WEBP"])
def test_animations_are_refused(image, labels, format_):
    for read in (image, labels):
        with pytest.raises(ValueError, match="x is an animation; save its frames"):
            read(animated(format_))


def with_sizes(width: int, height: int) -> dict[str, bytes]:
    """Files of a few hundred bytes whose header declares other sizes than their pixels have."""
    wide = png_chunk(b"IHDR", png(noise(8))[16:29])
    small = {"PNG": png(noise(8)), "GIF": pillow(noise(8), "GIF"), "BMP": pillow(noise(8), "BMP")}
    jpeg = pillow(noise(8), "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    sizes = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    few = [size.to_bytes(2, "little") for size in (width, height)]
    lossy, lossless = (pillow(np.dstack([noise(8)] * 3), "WEBP", lossless=k) for k in (0, 1))
    bits = (0x2F | (width - 1) << 8 | (height - 1) << 22).to_bytes(5, "little")
    extended = b"\0\0\0\0" + b"".join((k - 1).to_bytes(3, "little") for k in (width, height))
    return {
        "PNG": small["PNG"].replace(wide, png_chunk(b"IHDR", sizes + wide[16:21])),
        "GIF": small["GIF"][:6] + few[0] + few[1] + small["GIF"][10:],
        "BMP": small["BMP"][:18]
        + width.to_bytes(4, "little")
        + height.to_bytes(4, "little")
        + small["BMP"][26:],
        "JPEG": jpeg[:at] + few[1][::-1] + few[0][::-1] + jpeg[at + 4 :],
        "WebP VP8": lossy[:26] + few[0] + few[1] + lossy[30:],
        "WebP VP8L": lossless[:20] + bits + lossless[25:],
        "WebP VP8X": b"RIFF\xff\0\0\0WEBP" + webp_chunk(b"VP8X", extended) + lossless[12:],
    }


@pytest.mark.parametrize("name", with_sizes(9, 9))
def test_sizes_are_limited_by_the_header(image, labels, name):
    data = with_sizes(12_000, 15_000)[name]
    for read in (image, labels):
        with pytest.raises(ValueError, match=r"15000 x 12000 = 180,000,000 pixels, the limit is"):
            read(data, max_pixels=179_999_999)


@pytest.mark.parametrize("format_", ["PNG", "GIF", "BMP", "JPEG", "WEBP"])
def test_as_many_pixels_as_allowed_are_read(image, monkeypatch, format_):
    data = pillow(np.dstack([noise(8)] * 3), format_)
    monkeypatch.setenv("KERAS_UNET_MAX_PIXELS", "1")
    assert image(data, max_pixels=13 * 21).shape[:2] == SHAPE
    with pytest.raises(ValueError, match="13 x 21 = 273 pixels, the limit is 1"):
        image(data)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (imagecodecs.jpegxl_encode(noise(8)), "JPEG XL"),
        (imagecodecs.jpegxr_encode(noise(8)), "JPEG XR"),
    ],
)
def test_formats_that_are_not_read_are_named(image, labels, data, name):
    for read in (image, labels):
        with pytest.raises(ValueError, match=f"x is a {name} file, which is not read; export it"):
            read(data)


BROKEN = {
    "no header": (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IEND", b"") + bytes(30), "do not begin"),
    "no pixels": (
        png(noise(8)).replace(b"IDAT", b"idat"),  # and so the checksum is wrong
        "wrong checksum",
    ),
    "short pixels": (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", png(noise(8))[16:29])
        + png_chunk(b"IDAT", b"\x78\x9c\x03\0\0\0\0\x01")
        + png_chunk(b"IEND", b""),
        "PNG data cannot be decoded",
    ),
    "webp head": (b"RIFF\x20\0\0\0WEBPVP8?" + bytes(20), "do not begin with a header"),
    "webp cut": (imagecodecs.webp_encode(noise(8, 3), lossless=True)[:-9], "is truncated"),
    "webp tiny": (b"RIFF\x20\0\0\0WEBPVP8 ", "is truncated"),
    "gif cut": (pillow(noise(8), "GIF")[:200], "GIF data cannot be decoded"),
    "bmp cut": (pillow(noise(8), "BMP")[:-30], "BMP data cannot be decoded.*truncated"),
    "bmp head": (b"BM" + bytes(8), "BMP data cannot be decoded"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_named(image, name):
    data, message = BROKEN[name]
    with pytest.raises(ValueError, match=f"x.*{message}"):
        image(data)
