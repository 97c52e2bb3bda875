"""The model bundle on disk: `models.json` and the files it names. Reading it needs no torch.

A bundle is data, never code. Every file but `models.json` has its SHA-256 there, since a flipped byte in a safetensors
payload would load in silence.
"""

from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, field_validator

from data.common.files import sha256
from data.common.schema import (
    Fraction,
    NonNegative,
    Positive,
    Rate,
    Strict,
    check_schema,
    first_problem,
    read_json,
)
from pruning.entries import WORDS, CrossValidation, DifferenceEntry, LearningCurve, RateEntry, ScoresEntry
from pruning.errors import PruningError
from pruning.spec import VGGSpec

# 2 added `calibration`; 3 added `criterion` and `preprocessing`'s `hop_s` and `smoothing`; 4 added `baselines` and
# `weak`; 5 added `predictions`, `cross_validation` and `learning_curve`. Older bundles are read with what was true of
# them: criterion l1, SMOOTHING_BEFORE_3, the step that their training settings hold, no baselines, nobody asked whether
# they were weak, and no predictions.
SCHEMA = 5
SMOOTHING_BEFORE_3 = 0.75
MANIFEST = "models.json"


class SeedEntry(Strict):
    """One seed of a model: its own test accuracy, its validation loss, and the number of epochs it was trained."""

    seed: int
    accuracy: Fraction
    validation_loss: float | None
    epochs: int


class ModelEntry(Strict):
    """One model of the bundle.

    The files `weights` and `onnx` hold the seed `exported_seed`, the one with the lowest validation loss. `accuracy` is
    the mean over seeds. So is everything in `before` and `after` (retraining), which map "clean", "10dB", "5dB" and
    "0dB" to scores.
    """

    rate: Rate
    method: Literal["dense", "mask", "structural"]
    target: Literal["flops", "channels"] | None
    widths: list[Annotated[int, Field(ge=1)]]
    hidden: list[Annotated[int, Field(ge=1)]]
    channels_kept: list[int]
    flops: int = Field(gt=0)
    flops_nominal: int = Field(gt=0)
    parameters: int = Field(gt=0)
    parameters_nonzero: int = Field(gt=0)
    file_bytes: int = Field(gt=0)
    accuracy: Fraction
    accuracy_interval: list[Fraction] = Field(min_length=2, max_length=2)
    accuracy_before: Fraction | None
    relative_accuracy: NonNegative
    difference: DifferenceEntry
    before: dict[str, ScoresEntry] | None
    after: dict[str, ScoresEntry]
    seeds: list[SeedEntry] = Field(min_length=1)
    exported_seed: int
    weights: str
    onnx: str | None
    onnx_error: float | None

    def spec(self, manifest: "Manifest") -> VGGSpec:
        """The structure of the model, to rebuild it with."""
        return VGGSpec(
            len(manifest.classes),
            manifest.preprocessing.size,
            tuple(self.widths),
            tuple(self.hidden),
            manifest.architecture.pool,
            manifest.architecture.batch_norm,
            manifest.architecture.line > 0,
        )


class BaselineEntry(Strict):
    """A detector of the simplest kind on the same windows and split; see `pruning.baseline`.

    `kind` is "line" (logistic regression) or "forest" (random forest). It looks at `numbers` numbers of an image and
    takes about `flops` FLOP. `difference` is its accuracy minus the dense model's. `scores` maps "clean", "10dB",
    "5dB" and "0dB" to scores.
    """

    kind: Literal["line", "forest"]
    numbers: int = Field(gt=0)
    flops: int = Field(gt=0)
    difference: DifferenceEntry
    scores: dict[str, ScoresEntry]

    @property
    def words(self) -> str:
        """What it is, in words."""
        return f"{WORDS[self.kind]} on {self.numbers} numbers"

    @property
    def accuracy(self) -> RateEntry:
        """Accuracy on the test part as recorded."""
        return self.scores["clean"].accuracy


class Architecture(Strict):
    """The structure that all models of the bundle share.

    `line` is the weight of the straight line inside (`pruning.line`); 0: there is none, as in bundles of before.
    """

    name: Literal["vgg16"]
    head: Literal["small", "paper"]
    width: float
    pool: int
    batch_norm: bool
    line: NonNegative = 0.0


class Preprocessing(Strict):
    """From a raw signal to images: what a gateway must do before it asks a model (`pruning.classify` does it).

    The signal's mean is taken off and the signal is resampled to `rate_hz` samples per second. It is cut into windows
    of `window_s` seconds, one every `hop_s` seconds. Each window becomes `size` x `size` decadic log-power
    (`data.images.log_spectrogram`, with Fourier segments of `segment` samples, `floor` added to the power, and columns
    averaged over the share `smoothing` of the window), then (image - mean) / deviation.
    """

    image: Literal["log_spectrogram"]
    size: int
    window_s: float
    rate_hz: float
    hop_s: Positive | None = None
    segment: int
    floor: float
    smoothing: Fraction = SMOOTHING_BEFORE_3
    mean: float
    deviation: float
    channel: str | None


class DataEntry(Strict):
    """The data set and split on which everything in the bundle was trained and tested."""

    name: str
    labels: str
    split: str
    held_out: float | None
    windows: dict[str, int]
    test_windows_independent: int
    recordings: list[str]
    fingerprint: str
    notes: list[str]


class Manifest(Strict):
    """`models.json`.

    `test` holds the test part; `calibration` some training images, to set the ranges of an int8 model by. `predictions`
    holds the class that each model names for each test window as recorded: a tensor for each model by the name of its
    weights' file, such as "vgg16-p0.9", with a row for each seed. `weak` says in what way the dense model is no better
    than a constant answer, if the user went on in spite of it. Where the test part is small, `cross_validation` has the
    accuracies to trust.
    """

    schema_version: Annotated[int, Field(alias="schema")]
    library: dict[str, str]
    data: DataEntry
    classes: list[str]
    normal_class: int | None
    preprocessing: Preprocessing
    architecture: Architecture
    criterion: str = "l1"
    seeds: list[int]
    training: dict[str, Any]
    models: list[ModelEntry] = Field(min_length=1)
    control: ModelEntry | None
    baselines: list[BaselineEntry] = Field(default_factory=list)
    weak: str | None = None
    cross_validation: CrossValidation | None = None
    learning_curve: LearningCurve | None = None
    test: str
    calibration: str | None = None
    predictions: str | None = None
    history: str
    sha256: dict[str, str]

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @field_validator("sha256")
    @classmethod
    def _inside(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name:
                raise ValueError(f"{name!r} points outside the bundle")
        return files

    @property
    def hop_s(self) -> float:
        """Step between windows in seconds; bundles before schema 3 hold it among their training settings."""
        if self.preprocessing.hop_s is not None:
            return self.preprocessing.hop_s
        return float(self.training.get("data", {}).get("hop_s", self.preprocessing.window_s))

    def entry(self, rate: float) -> ModelEntry:
        """The entry of the model with a pruning rate.

        Raises:
            PruningError: The bundle has no such model.
        """
        for model in self.models:
            if abs(model.rate - rate) < 1e-9:
                return model
        rates = ", ".join(f"{m.rate:g}" for m in self.models)
        raise PruningError(f"no model of rate {rate:g} in the bundle.", f"It holds {rates}.")


def read_manifest(bundle: Path | str) -> Manifest:
    """The validated `models.json` of a bundle folder.

    Raises:
        PruningError: Missing, damaged, of a newer schema, or with a field that is not understood (named).
    """
    path = Path(bundle) / MANIFEST
    if not path.exists():
        raise PruningError(
            f"{bundle}: no {MANIFEST} in it.", "Expected a bundle that `python -m pruning.run` has finished."
        )
    content = read_json(path, PruningError, remedy="Restore it, or run the sweep again.")
    check_schema(content, SCHEMA, str(path), PruningError, "a model bundle")
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise PruningError(f"{path}: {first_problem(error)}.", "The file was changed or is damaged.") from None


def verified(bundle: Path | str, manifest: Manifest, name: str) -> Path:
    """Path of one of a bundle's files, after its SHA-256 was compared.

    Raises:
        PruningError: The file is not listed, is missing, is a link out of the bundle, or was changed.
    """
    bundle = Path(bundle)
    expected = manifest.sha256.get(name)
    path = bundle / name
    if expected is None:
        raise PruningError(f"{bundle / MANIFEST}: lists no hash for {name}.", "The bundle is incomplete.")
    if not path.is_file():
        raise PruningError(f"{path}: missing.", "The bundle is incomplete; copy all of it, or run the sweep again.")
    if not path.resolve().is_relative_to(bundle.resolve()):
        raise PruningError(f"{path}: is a link that leaves the bundle.", "Use the original bundle.")
    got = sha256(path)
    if got != expected:
        raise PruningError(
            f"{path}: its SHA-256 is {got[:12]}..., models.json says {expected[:12]}....",
            "The file was changed or damaged; restore it, or run the sweep again.",
        )
    return path
