"""`train`: from samples and a recipe to a Segmenter, resumable at any moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
from rich.console import Console

from keras_unet.augmentation.augmentation import Augmentation
from keras_unet.data.pipeline import training_dataset
from keras_unet.data.resolution import resolution_text
from keras_unet.inference.segmenter import Segmenter
from keras_unet.sample import Sample
from keras_unet.training.callbacks import (
    AverageWeights,
    CountSteps,
    SaveRun,
    StopOnNaN,
    WholeImageValidation,
    stalled,
)
from keras_unet.training.checkpoint import Checkpoint, TrainingState, checksum
from keras_unet.training.progress import ShowProgress
from keras_unet.training.recipe import Recipe
from keras_unet.training.run_folder import open_run
from keras_unet.training.schedule import make_optimizer
from keras_unet.training.setup import Setup, relative_spacing, split_samples
from keras_unet.training.strategy import make_strategy, strategy_scope


def train(
    samples: Sequence[Sample],
    recipe: Recipe | None = None,
    out: str | Path = "runs/unet",
    validation: Sequence[Sample] | float | int | None = None,
    resume: str | bool = "auto",
    progress: bool = True,
    class_names: Sequence[str] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    reading: Mapping[str, Any] | None = None,
) -> Segmenter:
    """Trains a network on annotated samples and returns it as a `Segmenter`.

    Samples are checked first, and those to train on are resized once to the recipe's resolution;
    validation scores whole images at their own size. The run folder then holds at any moment
    `recipe.yaml`, `log.csv` (a line per validation), `tensorboard/`, the best model so far
    (`model.keras`, `segmenter.json`) and `checkpoint/`, from which a run that was stopped or killed
    goes on exactly as if it had not been: with the same data, weights, moments of the optimizer and
    dropout. The model is kept in float32 and for one device, whatever it was trained with.

    Args:
        samples: Annotated samples, all with the same number of channels.
        recipe: Every choice of the run. Defaults to None, `Recipe()`.
        out: The run folder. Defaults to "runs/unet".
        validation: Samples to validate on; or how many of `samples` to hold out, a whole number or
            a fraction below 1. Held out are the last ones together, because neighbouring slices or
            frames look alike. Defaults to None: no validation, and the last weights are kept.
        resume: "auto" continues the run in `out` if there is one and recipe and samples are the
            same; True continues it also with another recipe, such as more steps; False starts over
            and deletes it. Defaults to "auto".
        progress: Whether to show the progress, on the standard error stream. Defaults to True.
        class_names: Names of the classes. Defaults to None, see `Segmenter`.
        callbacks: Further Keras callbacks, called after the run's own. Defaults to none.
        reading: `channel` and `channels` with which the images were read, kept for those of later
            predictions. Defaults to None, see `Segmenter`.

    Returns:
        The `Segmenter` with the weights of the best validation, as loaded from `out`.

    Raises:
        ValueError: If samples or recipe are not fit for training, or `out` holds another run.
        FloatingPointError: If the loss is not finite.
        KeyboardInterrupt: As it came; the run can be resumed.

    Example:
        >>> samples = ku.data.synthetic_cells(6, shape=(96, 120), radius=8)
        >>> model, batches = {"filters": 4, "depth": 2}, {"tile": 44}
        >>> recipe = ku.Recipe(model=model, batches=batches, run={"steps": 2})
        >>> segmenter = ku.train(samples, recipe, "runs/small", 2, progress=False)
        >>> segmenter.predict(samples[0].image).classes.shape
        (96, 120)
    """
    recipe = recipe or Recipe()
    console = Console(
        stderr=True, quiet=not progress, markup=False, highlight=False, soft_wrap=True
    )
    training, held_out = split_samples(samples, validation, recipe.run.validation_images)
    setup = Setup.check(recipe, training, held_out)
    run = _Run(setup, Path(out), class_names, reading)
    checkpoint = run.open(checksum([*training, *held_out]), resume)
    resolution = recipe.images.resolution
    scale = "" if resolution == 1 else f" at resolution {resolution_text(resolution)}"
    console.print(f"{len(training)} training samples{scale}: {setup.table}")
    if checkpoint is not None:
        console.print(f"{run.folder} goes on at step {run.state.step}")
    if not run.finished:
        run.fit(held_out, console, callbacks)
    return Segmenter.load(run.folder)


class _Run:
    """The network that is trained, its average that is kept, and where they are written."""

    def __init__(
        self,
        setup: Setup,
        folder: Path,
        class_names: Sequence[str] | None,
        reading: Mapping[str, Any] | None,
    ) -> None:
        self.recipe = recipe = setup.recipe
        self.setup = setup
        self.folder = folder
        self.model = _compiled_model(setup)
        setup.network.set_weights(self.model.get_weights())
        self.normalization = recipe.images.make_normalization()
        self.segmenter = Segmenter(
            setup.network,
            setup.target,
            self.normalization,
            resolution=recipe.images.resolution,
            class_names=class_names,
            reading=reading,
        )
        # Layers' variables include the seeds of dropout, which `weights` leaves out.
        layers = [variable for layer in self.model.layers for variable in layer.variables]
        self.state = TrainingState(
            {
                "network": layers,
                "average": list(setup.network.weights),
                "optimizer": list(self.model.optimizer.variables),
            }
        )

    def open(self, samples_checksum: str, resume: str | bool) -> Checkpoint | None:
        """Starts or goes on in the folder."""
        checkpoint, self.state.meta = open_run(self.folder, self.recipe, samples_checksum, resume)
        if checkpoint is not None:
            self.state.restore(checkpoint)
        return checkpoint

    @property
    def finished(self) -> bool:
        """Whether no step is left."""
        run, state = self.recipe.run, self.state
        return state.step >= run.steps or stalled(state.history, run.monitor, run.patience)

    def fit(
        self,
        held_out: list[Sample],
        console: Console,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> None:
        """Trains until the last step."""
        run, state = self.recipe.run, self.state
        epochs_left = -((state.step - run.steps) // run.validate_every)
        show = ShowProgress(state, run.steps, self.recipe.batches.size, console)
        own = [
            CountSteps(state, run.steps),
            StopOnNaN(state),
            AverageWeights(self.segmenter.model, state, self.recipe.optimizer.ema),
            *([WholeImageValidation(self.segmenter, held_out)] if held_out else []),
            *self._tensorboard(),
            SaveRun(self.folder, state, self.segmenter, run.monitor, run.patience),
            show,
        ]
        try:
            self.model.fit(
                self._dataset(),
                initial_epoch=len(state.history),
                epochs=len(state.history) + epochs_left,
                steps_per_epoch=run.validate_every,
                shuffle=False,  # Keras 3.15 warns of it with a tf.data.Dataset
                verbose=0,
                callbacks=[*own, *callbacks],
            )
        except KeyboardInterrupt:
            saved = state.history[-1]["step"] if state.history else 0
            console.print(
                f"stopped at step {state.step}; the same command goes on from step {saved}, the "
                f"last checkpoint in {self.folder}"
            )
            raise
        finally:
            show.close()

    def _dataset(self) -> Any:
        setup, batches, seed = self.setup, self.recipe.batches, self.recipe.run.seed
        options = self.recipe.augmentation
        if options is not None:  # physical distances and angles where pixels are no squares
            options = {"spacing": relative_spacing(setup.training), **options}
        return training_dataset(
            setup.training,
            setup.network.geometry,
            tile=setup.tile,
            batch_size=batches.size,
            augmentation=None if options is None else Augmentation(**options),
            target=setup.target,
            normalization=self.normalization,
            seed=seed,
            start=self.state.step * batches.size,
            sampling=batches.sampling,
            foreground_fraction=batches.foreground_fraction,
        )

    def _tensorboard(self) -> list[keras.callbacks.Callback]:
        backend_can = keras.config.backend() == "tensorflow"
        if not (self.recipe.run.tensorboard and backend_can and find_spec("tensorboard")):
            return []
        return [keras.callbacks.TensorBoard(str(self.folder / "tensorboard"), write_graph=False)]


def _compiled_model(setup: Setup) -> keras.Model:
    """The network on the recipe's devices, compiled, with the variables of the optimizer made."""
    recipe, run = setup.recipe, setup.recipe.run
    strategy = make_strategy(run.strategy)
    replicas = 1 if strategy is None else strategy.num_replicas_in_sync
    if recipe.batches.size % replicas:
        raise ValueError(
            f"batches.size is divided among the devices: it must be a multiple of {replicas}. "
            f"Received: batches.size={recipe.batches.size}"
        )
    keras.utils.set_random_seed(run.seed)
    with strategy_scope(strategy):
        network = setup.build_network(run.precision)
        model = network.training_model()
        optimizer = make_optimizer(recipe)
        optimizer.build(model.trainable_variables)
        model.compile(
            optimizer,
            loss=network.training_loss(setup.target.loss()),
            metrics=network.training_metrics(setup.target.metrics()),
            jit_compile="auto" if run.jit_compile is None else run.jit_compile,
        )
    return model
