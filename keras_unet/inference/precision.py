"""In which precision a network computes: a property of the run, not of the stored model."""

from __future__ import annotations

import logging
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from keras_unet._arguments import did_you_mean
from keras_unet.errors import UsageError

if TYPE_CHECKING:
    from keras_unet.inference.engines.base import Engine

logger = logging.getLogger("keras_unet")

PRECISIONS = ("float32", "bfloat16", "auto")
FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""What x86-64 and Arm call it."""
CPU_INFO = Path("/proc/cpuinfo")


def in_precision(engine: Engine, precision: str) -> Engine:
    """The engine in a precision that a segmenter was asked for.

    Args:
        engine: The engine.
        precision: One of `PRECISIONS`; "auto" is "bfloat16" where CPU and engine have it.

    Returns:
        An engine on the same network, maybe the same one.

    Raises:
        ValueError: If there is no such precision, or the engine has not.
    """
    if precision not in PRECISIONS:
        raise UsageError(
            f"there is no precision {precision!r}{did_you_mean(precision, PRECISIONS)}",
            f"give precision={', '.join(map(repr, PRECISIONS[:-1]))} or {PRECISIONS[-1]!r}",
            f"say --precision {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}",
        )
    if precision == "auto":
        quick = cpu_has_bfloat16() and "bfloat16" in engine.precisions
        precision = "bfloat16" if quick else "float32"
    return engine.in_precision(precision)


@cache
def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies numbers in bfloat16; no where nobody tells (Windows)."""
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "hw.optional.arm.FEAT_BF16"]
        told = subprocess.run(asked, capture_output=True, text=True, check=False)
        return told.stdout.strip() == "1"
    try:
        return bool(FLAGS & set(CPU_INFO.read_text(encoding="utf-8", errors="replace").split()))
    except OSError:
        return False


def warn_of_slowness() -> None:
    """Says so where bfloat16 gains nothing."""
    if not cpu_has_bfloat16():
        logger.warning(
            "this CPU has no bfloat16: it is slower there than float32, or no faster; the "
            "precision 'auto' takes it only where it is quick"
        )
