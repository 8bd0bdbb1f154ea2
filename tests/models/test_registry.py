import pytest

from keras_unet import models

pytestmark = pytest.mark.core


def test_every_name_makes_its_model():
    assert "unet" in models.names()
    assert list(models.names()) == sorted(models.names())
    for name in models.names():
        model = models.create(name, filters=2)
        assert isinstance(model, models.SegmentationModel)
        assert model.geometry.depth > 0


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(ValueError, match=r"there are .*'unet'.*Received: name='nnet'"):
        models.create("nnet")
