import subprocess
import sys

import pytest

from keras_unet import targets

pytestmark = pytest.mark.core


def test_targets_by_name():
    assert {"classes", "seeds"} <= set(targets.list_targets())
    assert targets.get("classes") is targets.get(targets.ClassTarget) is targets.ClassTarget
    assert targets.get("seeds") is targets.SeedTarget
    assert targets.create("classes", num_classes=3).num_outputs == 3
    assert targets.create("seeds", clip=9).halo == 9


@pytest.mark.parametrize(
    ("name", "message"), [("class", r"'classes'.*'seeds'.*did you mean 'classes'.*'class'")]
)
def test_unknown_name_lists_what_exists(name, message):
    with pytest.raises(ValueError, match=message):
        targets.create(name)


@pytest.mark.parametrize("name", ["classes", "seeds"])
def test_every_target_can_be_made_again_from_its_configuration(name):
    target = targets.create(name)
    again = targets.create(name, **target.get_config())
    assert type(again) is type(target)
    assert again.get_config() == target.get_config()


def test_encoding_and_decoding_need_no_keras():
    code = (
        "import sys, numpy as np; from keras_unet import targets\n"
        "for name in targets.__all__: getattr(targets, name)\n"
        "for name in targets.list_targets():\n"
        "    target = targets.create(name)\n"
        "    target.encode(np.eye(4, 5, dtype=int))\n"
        "    target.decode(target.activate(np.zeros((4, 5, 2))))\n"
        "sys.exit(bool({'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
