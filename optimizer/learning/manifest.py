"""What a policy folder holds: file names, the manifest `policy.json` with its checks, and finding such folders."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from data.common.files import sha256
from data.common.guard import is_file, printable
from data.common.parse import read_json
from data.common.schema import Count, Finite, Hash, Many, NonNegative, Strict, check_schema, first_problem
from optimizer.errors import OptimizerError
from optimizer.network.scenario import MOST_GATEWAYS, MOST_SENSORS

MANIFEST, ONNX, WEIGHTS = "policy.json", "policy.onnx", "weights.safetensors"
SCHEMA = 3
TRAIN_AGAIN = "Train the policy again with `python -m optimizer.train`."
FINISHED = "Give a folder in which `python -m optimizer.train` finished a training."
Preset = Literal["default", "paper"]
Type = Annotated[tuple[Finite, Finite, Finite], Field(strict=False)]
Sensors = Annotated[int, Field(ge=1, le=MOST_SENSORS)]


class Source(Strict):
    """A profile that the network was built from.

    Attributes:
        path: Where the profile was when the policy was trained.
        sha256: Hash of its content at that time.
    """

    path: str
    sha256: Hash

    @classmethod
    def of(cls, path: Path) -> "Source":
        """The source entry of a profile that exists."""
        return cls(path=str(path), sha256=sha256(path))


class PolicyManifest(Strict):
    """Content of `policy.json`: what a trained policy is, and where it came from.

    Attributes:
        schema_version: Version of this format, written as `schema`.
        preset: "default" (`optimizer.learning.policy`) or "paper" (`optimizer.learning.paper_sac`).
        scenario: The network that the policy was trained on, or the first of several.
        sensors: Numbers of sensors that the policy was trained on.
        reach: Number of tasks of the largest gateway that the policy can serve.
        gateway_types: Types of gateways that the policy knows, see `gateway_types`; empty for the paper preset.
        seed: Random seed of the training.
        config: Settings of the training.
        training: Number of slots, number of updates, and seconds that the training took.
        sources: Profiles that the scenario was built from.
        onnx_sha256: Hash of policy.onnx; None for a policy that decides from its weights (`factory.policy`).
        weights_sha256: Hash of weights.safetensors.
        history: One row per block of the training: its slots, reward and drop ratio, and reward, drop ratio and gap
            on the validation slots.
    """

    schema_version: int = Field(alias="schema")
    preset: Preset
    scenario: dict[str, Any]
    sensors: Annotated[Many[Sensors], Field(min_length=1)]
    reach: Sensors
    gateway_types: Annotated[Many[Type], Field(max_length=MOST_GATEWAYS)]
    seed: Count
    config: dict[str, Any]
    training: dict[str, NonNegative]
    sources: dict[str, Source]
    onnx_sha256: Hash | None
    weights_sha256: Hash
    history: Many[dict[str, Finite | None]] = ()

    @model_validator(mode="after")
    def _of_its_kind(self) -> "PolicyManifest":
        if self.preset == "paper" and self.onnx_sha256 is None:
            raise ValueError("onnx_sha256: the paper's preset decides with an ONNX model")
        if self.preset == "default" and not self.gateway_types:
            raise ValueError("gateway_types: expected at least one")
        return self

    @property
    def files(self) -> tuple[str, ...]:
        """Files that the folder holds beside the manifest."""
        return (WEIGHTS,) if self.onnx_sha256 is None else (ONNX, WEIGHTS)


def read_manifest(folder: Path | str) -> PolicyManifest:
    """The manifest of a policy folder; one of an older version is migrated.

    Raises:
        OptimizerError: The folder holds no policy, a damaged one (the wrong field is named), or one that a newer
            version wrote.
    """
    path = Path(folder) / MANIFEST
    if not is_file(path):
        raise OptimizerError(f"{printable(folder)} holds no {MANIFEST}.", FINISHED)
    content = read_json(path, OptimizerError, remedy=TRAIN_AGAIN)
    check_schema(content, SCHEMA, str(path), OptimizerError, "the manifest of a policy")
    try:
        return PolicyManifest.model_validate(_migrated(content))
    except ValidationError as error:
        raise OptimizerError(f"{path}: {first_problem(error)}.", TRAIN_AGAIN) from None


def _migrated(content: dict[str, Any]) -> dict[str, Any]:
    """The content as the newest schema has it: schema 1 had `kinds` for `gateway_types`, all before 3 have an ONNX."""
    if content["schema"] == 1 and "kinds" in content:
        content = {("gateway_types" if key == "kinds" else key): value for key, value in content.items()}
    return {**content, "schema": SCHEMA}


def find_policies(folder: Path | str) -> list[Path]:
    """The policy folders at or below a folder, sorted by path.

    Raises:
        OptimizerError: There is none.
    """
    folder = Path(folder)
    if is_file(folder / MANIFEST):
        return [folder]
    try:
        found = sorted(p.parent for p in folder.glob(f"**/{MANIFEST}")) if folder.is_dir() else []
    except (OSError, ValueError):  # a name that no system takes
        found = []
    if not found:
        raise OptimizerError(f"{printable(folder)}: no {MANIFEST} there or below.", FINISHED)
    return found
