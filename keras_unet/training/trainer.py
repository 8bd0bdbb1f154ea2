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
from keras_unet.files.lock import FolderLock, cannot_be_written, folder_lock
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
from keras_unet.training.interruption import SaveBetween, StopSignals
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

    SIGTERM, SIGHUP and Ctrl-C end the run after the step that is running, with a checkpoint of that
    step (in the main thread; elsewhere Python receives no signals). A second one ends it at once.
    The run folder is locked: a second process that asks for it is refused.

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
        callbacks: Further Keras callbacks, called after the run's own. Where the run goes on from
            a checkpoint between validations, they see two trainings: up to the next validation, and
            the rest. Defaults to none.
        reading: `channel` and `channels` with which the images were read, kept for those of later
            predictions. Defaults to None, see `Segmenter`.

    Returns:
        The `Segmenter` with the weights of the best validation, as loaded from `out`.

    Raises:
        ValueError: If samples or recipe are not fit for training, `out` holds another run, is
            being written by another process, or cannot be written.
        FloatingPointError: If the loss is not finite.
        KeyboardInterrupt: After Ctrl-C; the run can be resumed.
        SystemExit: After SIGTERM, with the code 143 (129 after SIGHUP); the run can be resumed.

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
    with folder_lock(Path(out)) as lock:
        training, held_out = split_samples(samples, validation, recipe.run.validation_images)
        setup = Setup.check(recipe, training, held_out)
        run = _Run(setup, lock, class_names, reading)
        checkpoint = run.open(checksum([*training, *held_out]), resume)
        resolution = recipe.images.resolution
        scale = "" if resolution == 1 else f" at resolution {resolution_text(resolution)}"
        console.print(f"{len(training)} training samples{scale}: {setup.table}")
        if checkpoint is not None:
            console.print(f"{lock.folder} goes on at step {run.state.step}")
        if not run.finished:
            run.fit(held_out, console, callbacks)
        return Segmenter.load(lock.folder)


class _Run:
    """The network that is trained, its average that is kept, and where they are written."""

    def __init__(
        self,
        setup: Setup,
        lock: FolderLock,
        class_names: Sequence[str] | None = None,
        reading: Mapping[str, Any] | None = None,
    ) -> None:
        self.recipe = recipe = setup.recipe
        self.setup = setup
        self.lock = lock
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
        checkpoint, self.state.meta = open_run(
            self.lock.folder, self.recipe, samples_checksum, resume
        )
        if checkpoint is not None:
            self.state.restore(checkpoint)
        return checkpoint

    @property
    def finished(self) -> bool:
        """Whether no step and no validation is left."""
        run, state = self.recipe.run, self.state
        done = state.step >= run.steps and not self.unvalidated
        return done or stalled(state.history, run.monitor, run.patience)

    @property
    def unvalidated(self) -> bool:
        """Whether the last step was the last before a validation, which was interrupted."""
        run, state = self.recipe.run, self.state
        due = min(state.validated + run.validate_every, run.steps)
        return state.step > state.validated and state.step >= due

    def fit(
        self,
        held_out: list[Sample],
        console: Console,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> None:
        """Trains until the last step."""
        run, state = self.recipe.run, self.state
        show = ShowProgress(state, run.steps, self.recipe.batches.size, console)
        with StopSignals() as signals:
            between = SaveBetween(self.lock, state, signals, run.checkpoint_minutes)
            own = [
                CountSteps(state, run.steps),
                StopOnNaN(state, self.recipe),
                AverageWeights(self.segmenter.model, state, self.recipe.optimizer.ema),
                *([WholeImageValidation(self.segmenter, held_out, signals)] if held_out else []),
                SaveRun(self.lock, state, self.segmenter, run.monitor, run.patience),
                show,
                between,
            ]
            try:
                if self.unvalidated:
                    self._validate(own)
                self._fit([*own, *self._tensorboard(), *callbacks])
                signals.check()
            except (KeyboardInterrupt, SystemExit):
                show.close()
                if between.settled:
                    between.save()
                console.print(self._how_it_stopped(signals))
                raise
            finally:
                show.close()

    def _validate(self, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """The validation after a step that is done."""
        logs: dict[str, Any] = {}
        for callback in callbacks:
            callback.set_model(self.model)
            callback.on_epoch_end(len(self.state.history), logs)

    def _fit(self, callbacks: list[keras.callbacks.Callback]) -> None:
        """Keras' loop, with validations where they would be without an interruption."""
        run, state = self.recipe.run, self.state
        self.model.stop_training = False
        while not (self.finished or self.model.stop_training):
            done, steps = len(state.history), run.validate_every
            epochs = -((state.step - run.steps) // steps)
            if state.step > state.validated:  # first to the next validation
                steps, epochs = state.validated + steps - state.step, 1
            self.model.fit(
                self._dataset(),
                initial_epoch=done,
                epochs=done + epochs,
                steps_per_epoch=steps,
                shuffle=False,  # Keras 3.15 warns of it with a tf.data.Dataset
                verbose=0,
                callbacks=callbacks,
            )

    def _how_it_stopped(self, signals: StopSignals) -> str:
        state = self.state
        by = {"SIGINT": " by Ctrl-C", None: ""}.get(signals.name, f" by {signals.name}")
        saved = "; saved" if state.saved == state.step else ""
        then = "starts again" if state.saved is None else f"goes on at step {state.saved}"
        return f"stopped at step {state.step}{by}{saved}; the same command {then}"

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
        logs = self.lock.folder / "tensorboard"
        try:
            logs.mkdir(exist_ok=True)  # TensorBoard's own error speaks of graph nodes
        except OSError as error:
            raise cannot_be_written(logs, error) from error
        return [keras.callbacks.TensorBoard(str(logs), write_graph=False)]


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
