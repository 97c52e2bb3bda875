"""What a policy folder holds: file names, the manifest `policy.json` with its checks, and finding such folders."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from data.common.files import sha256
from data.common.schema import Strict, check_schema, first_problem, read_json
from optimizer.errors import OptimizerError

MANIFEST, ONNX, WEIGHTS = "policy.json", "policy.onnx", "weights.safetensors"
SCHEMA = 3
TRAIN_AGAIN = "Train the policy again with `python -m optimizer.train`."
FINISHED = "Give a folder in which `python -m optimizer.train` finished a training."
Preset = Literal["default", "paper"]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


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
    sensors: tuple[int, ...]
    reach: int
    gateway_types: tuple[tuple[float, float, float], ...]
    seed: int
    config: dict[str, Any]
    training: dict[str, float]
    sources: dict[str, Source]
    onnx_sha256: Hash | None
    weights_sha256: Hash
    history: tuple[dict[str, float | None], ...] = ()

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
    if not path.is_file():
        raise OptimizerError(f"{folder} holds no {MANIFEST}.", FINISHED)
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
    if (folder / MANIFEST).is_file():
        return [folder]
    found = sorted(p.parent for p in folder.glob(f"**/{MANIFEST}")) if folder.is_dir() else []
    if not found:
        raise OptimizerError(f"{folder}: no {MANIFEST} there or below.", FINISHED)
    return found
