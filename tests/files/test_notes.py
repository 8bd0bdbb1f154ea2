"""Notes of many files become one warning."""

from __future__ import annotations

import logging

import pytest

from keras_unet.files.notes import gathered_notes, note

pytestmark = pytest.mark.core


@pytest.fixture
def said(caplog):
    with caplog.at_level(logging.WARNING, logger="keras_unet"):
        yield lambda: [record.getMessage() for record in caplog.records]


def test_one_warning_for_all_files_of_the_outermost_call(said, tmp_path):
    @gathered_notes()
    def read(names):
        for name in names:
            note("exif", tmp_path / name)

    with gathered_notes():
        read([f"{k}.jpg" for k in range(9)])
        read(["0.jpg", "{9}%s.jpg"])
        note("zero_is_white", tmp_path / "x.tif")
        assert not said()
    turned, white = said()
    assert turned.startswith("10 images have an EXIF orientation and were turned as viewers show")
    assert turned.endswith("7.jpg, ...)")
    assert white == f"zero means white in {tmp_path / 'x.tif'}; not inverted"
    read(["{9}%s.jpg"])
    assert "{9}%s.jpg has an EXIF orientation and was turned as viewers show it" in said()[2]


def test_a_note_alone_and_notes_before_an_error_are_said(said):
    note("tiff_orientation", "x.tif")

    @gathered_notes()
    def fail():
        note("exif", "a.png")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert [text.split()[0] for text in said()] == ["x.tif", "a.png"]
