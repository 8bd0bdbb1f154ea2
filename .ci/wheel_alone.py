"""What must work where nothing but the wheel is installed; run it in an empty folder.

The commands `demo` and `predict` are there, the preset is, and finds cells in an image file.
"""

import subprocess
import sys
from pathlib import Path

import cv2

import keras_unet as ku

COMMAND = Path(sys.executable).with_name("keras-unet")


def main() -> None:
    """Runs the commands; ends with a message where something is missing."""
    installed = Path(ku.__file__).resolve()
    if Path(sys.prefix).resolve() not in installed.parents:
        raise SystemExit(f"this is not the installed package: {installed}")
    subprocess.run([COMMAND, "demo", "--steps", "20", "--out", "demo"], check=True)
    (sample,) = ku.data.synthetic_cells(1, shape=(150, 190), seed=0)
    cv2.imwrite("cells.png", sample.image)
    subprocess.run(
        [COMMAND, "predict", "--preset", "nuclei", "cells.png", "--out", "masks"], check=True
    )
    written = {file.name: cv2.imread(str(file), -1) for file in Path("masks").glob("*.png")}
    drawn = int(sample.instances.max())
    found = max(int(image.max()) for name, image in written.items() if "instances" in name)
    print(f"cells found: {found}, drawn: {drawn}")
    if not 0.7 * drawn < found < 1.3 * drawn:
        raise SystemExit("the preset counts other cells than there are")


if __name__ == "__main__":
    main()
