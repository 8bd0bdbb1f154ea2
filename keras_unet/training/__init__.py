"""Training runs: recipes, the trainer, callbacks and several GPUs.

A run that is killed goes on as if it had not been: whatever changes a step belongs into the
checkpoint.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "recipe": ["Recipe"],
        "strategy": ["make_strategy", "strategy_scope"],
        "trainer": ["train"],
    },
)
