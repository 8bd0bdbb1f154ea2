"""Damaged TIFFs: an error that names the file, or an image; never a crash or another error."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.core

ROOT = Path(__file__).resolve().parents[2]
MUTATIONS = 170
MEMORY = 3 * 2**30

SCRIPT = """
import logging, sys, warnings
from pathlib import Path
import numpy as np
from keras_unet.data import read_image, read_labels
from keras_unet.files.reading import frames_in
from tests.files.tiff_files import mutated, seed_files

path, seeds, wrong = Path(sys.argv[1]), seed_files(), []
warnings.simplefilter("ignore")
logging.getLogger("keras_unet").disabled = True
for number in range(int(sys.argv[2])):
    name = list(seeds)[number % len(seeds)]
    path.write_bytes(mutated(seeds[name], np.random.default_rng(number)))
    for read in (frames_in, lambda p: read_image(p, rank=None), read_labels):
        try:
            read(path)
        except (ValueError, OSError) as error:
            if str(path) not in str(error) or len(str(error)) > 1200:
                wrong.append((number, name, repr(error)[:300]))
        except Exception as error:
            wrong.append((number, name, repr(error)[:300]))
print(*wrong, sep="\\n")
sys.exit(bool(wrong))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are tested on Linux")
def test_mutations(tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "x.tif"), str(MUTATIONS)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command,
        env=environment,
        cwd=ROOT,
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert not done.stderr  # tifffile's warnings are not shown
