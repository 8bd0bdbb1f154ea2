"""The command `keras-unet info`: facts about a model in words and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from keras_unet.commands.documented import documented
from keras_unet.commands.printing import print_values
from keras_unet.commands.recipe_options import with_recipe
from keras_unet.training.recipe import Recipe


@with_recipe
@documented
def info(
    recipe: Recipe,
    run: Annotated[Path | None, typer.Argument()] = None,
    channels: int = 1,
    classes: int = 2,
    size: int = 572,
    summary: bool = False,
) -> None:
    """Show a model: parameters, geometry, legal sizes, memory.

    Args:
        recipe: The recipe.
        run: Run folder; else the recipe's model.
        channels: Image channels of the recipe's model.
        classes: Classes of the recipe's model.
        size: Input size to look at, in pixels.
        summary: Print all layers.
    """
    from keras_unet.inference.memory import estimate_memory
    from keras_unet.inference.segmenter import Segmenter
    from keras_unet.training.setup import build_network

    values: dict[str, Any] = {}
    if run is not None:
        segmenter = Segmenter.load(run)
        model = segmenter.model
        values["target"] = segmenter.target.name
        values["classes"] = ", ".join(segmenter.class_names)
        values["normalization"] = str(segmenter.normalization)
    else:
        model = build_network(recipe, (None, None, channels), classes)
    geometry = model.geometry
    below, above = geometry.nearest(size)
    shape = (above,) * geometry.rank
    around = [above + k * geometry.stride for k in range(-2, 3)]
    values |= {
        "parameters": f"{model.count_params():,}",
        "geometry": f"depth {geometry.depth}, {geometry.padding}, rank {geometry.rank}",
        "margin (px a side)": geometry.margin,
        "stride (px)": geometry.stride,
        "smallest legal size (px)": geometry.min_size,
        f"legal sizes near {size} (px)": ", ".join(str(n) for n in around if geometry.is_legal(n)),
        f"output for {above} px": geometry.output_size(above),
        f"sizes by level for {above} px": " ".join(
            f"{into}>{out}" for into, out in geometry.level_sizes(above)
        ),
        f"activations of a {above} px tile": f"{estimate_memory(model, shape) / 2**20:.0f} MiB",
    }
    if below == above:
        values[f"{size} px is legal"] = "yes"
    if summary:
        model.summary(line_length=100)
    print_values(model.name, values)
