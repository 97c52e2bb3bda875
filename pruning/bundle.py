"""The model bundle on disk: `models.json` and the files it names. Reading it needs no torch.

A bundle is data, never code. Every file but `models.json` has its SHA-256 there, since a flipped byte in a safetensors
payload would load in silence.
"""

from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from data.common.files import sha256
from data.common.guard import is_file, printable
from data.common.limits import MOST_SAMPLES
from data.common.parse import read_json
from data.common.schema import (
    LARGEST,
    MOST,
    Count,
    Finite,
    Fraction,
    Hash,
    NonNegative,
    Positive,
    Rate,
    Strict,
    check_schema,
    first_problem,
)
from pruning.entries import (
    WORDS,
    CrossValidation,
    DifferenceEntry,
    LearningCurve,
    RateEntry,
    ScoresByNoise,
    ScoresEntry,
)
from pruning.errors import PruningError
from pruning.spec import VGGSpec

# 2 added `calibration`; 3 added `criterion` and `preprocessing`'s `hop_s` and `smoothing`; 4 added `baselines` and
# `weak`; 5 added `predictions`, `cross_validation` and `learning_curve`. Older bundles are read with what was true of
# them: criterion l1, SMOOTHING_BEFORE_3, the step that their training settings hold, no baselines, nobody asked whether
# they were weak, and no predictions.
SCHEMA = 5
SMOOTHING_BEFORE_3 = 0.75
MANIFEST = "models.json"
Amount = Annotated[int, Field(gt=0, le=MOST)]
Width = Annotated[int, Field(ge=1, le=65_536)]  # VGG-16's widest layer has 4096
ClassName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if not name or len(name) > 200 or path.is_absolute() or ".." in path.parts or "\\" in name:
        raise ValueError(f"{name!r} points outside the bundle")
    return name


def _with_test(windows: dict[str, int]) -> dict[str, int]:
    if "test" not in windows:
        raise ValueError("expected the number of windows of the part test")
    return windows


FileName = Annotated[str, AfterValidator(_inside)]


class SeedEntry(Strict):
    """One seed of a model: its own test accuracy, its validation loss, and the number of epochs it was trained."""

    seed: Count
    accuracy: Fraction
    validation_loss: Finite | None
    epochs: Count


class ModelEntry(Strict):
    """One model of the bundle.

    The files `weights` and `onnx` hold the seed `exported_seed`, the one with the lowest validation loss. `accuracy` is
    the mean over seeds. So is everything in `before` and `after` (retraining), which map "clean", "10dB", "5dB" and
    "0dB" to scores.
    """

    rate: Rate
    method: Literal["dense", "mask", "structural"]
    target: Literal["flops", "channels"] | None
    widths: list[Width] = Field(min_length=13, max_length=13)
    hidden: list[Width] = Field(min_length=2, max_length=2)
    channels_kept: list[Count]
    flops: Amount
    flops_nominal: Amount
    parameters: Amount
    parameters_nonzero: Amount
    file_bytes: Amount
    accuracy: Fraction
    accuracy_interval: list[Fraction] = Field(min_length=2, max_length=2)
    accuracy_before: Fraction | None
    relative_accuracy: NonNegative
    difference: DifferenceEntry
    before: dict[str, ScoresEntry] | None
    after: ScoresByNoise
    seeds: list[SeedEntry] = Field(min_length=1)
    exported_seed: Count
    weights: FileName
    onnx: FileName | None
    onnx_error: NonNegative | None

    @model_validator(mode="after")
    def _own_seed(self) -> "ModelEntry":
        seeds = [entry.seed for entry in self.seeds]
        if len(set(seeds)) < len(seeds) or self.exported_seed not in seeds:
            raise ValueError(f"exported_seed: expected one of the different seeds; got {self.exported_seed} of {seeds}")
        return self

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
    numbers: Amount
    flops: Amount
    difference: DifferenceEntry
    scores: ScoresByNoise

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
    width: Positive
    pool: Annotated[int, Field(ge=1, le=64)]
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
    size: Annotated[int, Field(ge=32, le=1024)]
    window_s: Annotated[float, Field(gt=0, le=1e6)]
    rate_hz: Annotated[float, Field(gt=0, le=1e9)]
    hop_s: Annotated[float, Field(ge=1e-6, le=1e6)] | None = None
    segment: Annotated[int, Field(ge=1, le=1 << 24)]
    floor: NonNegative
    smoothing: Fraction = SMOOTHING_BEFORE_3
    mean: Finite
    deviation: Annotated[float, Field(ge=1e-6, le=LARGEST)]
    channel: str | None

    @model_validator(mode="after")
    def _of_some_length(self) -> "Preprocessing":
        if not self.size <= self.window_s * self.rate_hz <= MOST_SAMPLES:
            raise ValueError(
                f"a window has {self.window_s * self.rate_hz:g} samples: expected {self.size} to {MOST_SAMPLES:,}"
            )
        return self


class DataEntry(Strict):
    """The data set and split on which everything in the bundle was trained and tested."""

    name: str
    labels: str
    split: str
    held_out: Finite | None
    windows: Annotated[dict[str, Count], AfterValidator(_with_test)]
    test_windows_independent: Count
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
    classes: list[ClassName] = Field(min_length=2, max_length=10_000)
    normal_class: Count | None
    preprocessing: Preprocessing
    architecture: Architecture
    criterion: str = "l1"
    seeds: list[Count] = Field(min_length=1)
    training: dict[str, Any]
    models: list[ModelEntry] = Field(min_length=1)
    control: ModelEntry | None
    baselines: list[BaselineEntry] = Field(default_factory=list)
    weak: str | None = None
    cross_validation: CrossValidation | None = None
    learning_curve: LearningCurve | None = None
    test: FileName
    calibration: FileName | None = None
    predictions: FileName | None = None
    history: FileName
    sha256: dict[FileName, Hash]

    model_config = ConfigDict(populate_by_name=True)

    @model_validator(mode="after")
    def _consistent(self) -> "Manifest":
        classes = len(self.classes)
        if len(set(self.classes)) < classes:
            raise ValueError("classes: expected different names")
        if self.normal_class is not None and self.normal_class >= classes:
            raise ValueError(f"normal_class: expected an index below {classes}; got {self.normal_class}")
        rates = [model.rate for model in self.models]
        if len(set(rates)) < len(rates):
            raise ValueError("models: expected different rates; a rate is there twice")
        tables = [model.after for model in (*self.models, *filter(None, [self.control]))]
        tables += [model.before for model in self.models if model.before is not None]
        tables += [own.scores for own in self.baselines]
        tables += [own.scores for own in self.cross_validation.entries] if self.cross_validation else []
        if any(len(scores.recall) != classes for table in tables for scores in table.values()):
            raise ValueError(f"scores: expected a recall and a row of confusion for each of the {classes} classes")
        return self

    @field_validator("training")
    @classmethod
    def _old_hop(cls, training: dict[str, Any]) -> dict[str, Any]:
        data = training.get("data", {})
        hop_s = data.get("hop_s", 1.0) if isinstance(data, dict) else None
        if not isinstance(hop_s, int | float) or isinstance(hop_s, bool) or not 1e-6 <= hop_s <= 1e6:
            raise ValueError(f"data.hop_s: expected a step in seconds; got {hop_s!r}")
        return training

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
    if not is_file(path):
        raise PruningError(
            f"{printable(bundle)}: no {MANIFEST} in it.", "Expected a bundle that `python -m pruning.run` has finished."
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
    if not is_file(path):
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
