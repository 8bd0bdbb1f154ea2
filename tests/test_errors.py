import pickle

import pytest
import typer

from keras_unet.commands.app import friendly
from keras_unet.errors import UsageError

pytestmark = pytest.mark.core


def raise_usage_error():
    raise UsageError("x.tif has 2 channels", "give channel=0", "say --channel 1")


def test_each_place_reads_its_own_words(capsys):
    with pytest.raises(ValueError, match=r"^x\.tif has 2 channels; give channel=0$"):
        raise_usage_error()
    with pytest.raises(typer.Exit):
        friendly(raise_usage_error)()
    assert capsys.readouterr().err == "Error: x.tif has 2 channels; say --channel 1\n"


def test_without_words_for_the_command_line_both_read_the_same():
    error = UsageError("x.tif is empty", "write it again")
    assert error.command_line == str(error) == "x.tif is empty; write it again"


def test_it_travels_between_processes():
    error = pickle.loads(pickle.dumps(UsageError("a", "b", "c")))
    assert (str(error), error.command_line) == ("a; b", "a; c")
