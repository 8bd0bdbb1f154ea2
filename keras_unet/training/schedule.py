"""The optimizer and learning-rate schedule of a recipe."""

from __future__ import annotations

import keras

from keras_unet.training.recipe import Recipe


def learning_rate_schedule(
    learning_rate: float, steps: int, warmup: float = 0.0, schedule: str = "cosine"
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Linear warm-up, then a cosine to zero or a constant.

    Args:
        learning_rate: Highest learning rate.
        steps: Number of steps of the whole run.
        warmup: Share of the steps in which the rate rises. Defaults to 0.
        schedule: "cosine" or "constant". Defaults to "cosine".

    Returns:
        A Keras schedule of the step.

    Reference:
        Loshchilov, Hutter. "SGDR: Stochastic Gradient Descent with Warm Restarts." ICLR 2017.
        arXiv:1608.03983
    """
    rising = round(warmup * steps)
    final = 0.0 if schedule == "cosine" else 1.0
    if rising == 0:
        return keras.optimizers.schedules.CosineDecay(learning_rate, steps, alpha=final)
    # The first step already moves: a rate of exactly zero would waste it.
    return keras.optimizers.schedules.CosineDecay(
        learning_rate / (rising + 1),
        max(steps - rising, 1),
        alpha=final,
        warmup_target=learning_rate,
        warmup_steps=rising,
    )


def make_optimizer(recipe: Recipe) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe; weight decay leaves biases and normalizations alone.

    Under "mixed_float16" it scales the loss, so that small gradients do not vanish.

    Args:
        recipe: The recipe.

    Returns:
        A new Keras optimizer, not built.
    """
    options, momentum = recipe.optimizer, recipe.optimizer.momentum
    rate = learning_rate_schedule(
        options.learning_rate, recipe.run.steps, options.warmup, options.schedule
    )
    common = {
        "weight_decay": options.weight_decay or None,
        "global_clipnorm": options.gradient_clip,
    }
    optimizer: keras.optimizers.Optimizer
    if options.name == "sgd":
        optimizer = keras.optimizers.SGD(rate, momentum=momentum, **common)
    elif options.weight_decay:
        optimizer = keras.optimizers.AdamW(rate, beta_1=momentum, **common)
    else:
        optimizer = keras.optimizers.Adam(rate, beta_1=momentum, **common)
    if options.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    if recipe.run.precision == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer
