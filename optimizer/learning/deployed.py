"""A trained policy as it is deployed: `decide(state)` from a policy folder, with onnxruntime and without torch."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from data.common.files import sha256
from data.common.schema import Strict
from optimizer.errors import OptimizerError
from optimizer.learning.gateway_types import find_kinds
from optimizer.network.checks import check_state
from optimizer.network.codec import Codec
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State, count_tasks, send_first

MANIFEST, ONNX, WEIGHTS = "policy.json", "policy.onnx", "weights.safetensors"
SCHEMA = 1
Preset = Literal["default", "paper"]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Source(Strict):
    """A profile that the network was built from."""

    path: str
    sha256: Hash


class PolicyManifest(Strict):
    """`policy.json`: what a trained policy is and where it came from.

    Attributes:
        schema_version: Written as `schema`.
        preset: "default" (`jopa`) or "paper" (`sac`).
        scenario: The network it was trained on.
        sensors: The numbers of sensors it was trained on.
        reach: Tasks of the largest gateway that it can serve.
        kinds: Kinds of gateways, see `kinds`.
        seed: Of the training.
        config: Settings of the training.
        training: Slots, updates and seconds.
        sources: Profiles behind the scenario.
        onnx_sha256: Of policy.onnx.
        weights_sha256: Of weights.safetensors.
        history: A row a block: slots so far, reward, drop ratio, and on validation slots reward and gap.
    """

    schema_version: int = Field(alias="schema")
    preset: Preset
    scenario: dict[str, Any]
    sensors: tuple[int, ...]
    reach: int
    kinds: tuple[tuple[float, float, float], ...]
    seed: int
    config: dict[str, Any]
    training: dict[str, float]
    sources: dict[str, Source]
    onnx_sha256: Hash
    weights_sha256: Hash
    history: tuple[dict[str, float | None], ...] = ()


def read_manifest(folder: Path) -> PolicyManifest:
    """A policy folder's manifest.

    Raises:
        OptimizerError: No policy there, a damaged one, or one of another version; the field is named.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.get("schema")
        if isinstance(version, int) and version > SCHEMA:
            raise OptimizerError(f"{path}: schema {version} is newer than {SCHEMA}, which this version reads.")
        return PolicyManifest.model_validate(content)
    except FileNotFoundError:
        raise OptimizerError(
            f"{folder} holds no {MANIFEST}.", "Give a folder that `python -m optimizer.train` finished."
        ) from None
    except ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(str(x) for x in detail["loc"])
        raise OptimizerError(f"{path}: {where}: {detail['msg']}.", "Train it again.") from None
    except (OSError, ValueError, AttributeError) as error:
        raise OptimizerError(f"{path}: cannot be read ({error}).", "Train it again.") from None


def find_policies(folder: Path) -> list[Path]:
    """The policy folders at or below a folder. Raises OptimizerError where there is none."""
    if (folder / MANIFEST).is_file():
        return [folder]
    found = sorted(p.parent for p in folder.glob(f"**/{MANIFEST}")) if folder.is_dir() else []
    if not found:
        raise OptimizerError(
            f"{folder}: no {MANIFEST} there or below.", "Give a folder that `python -m optimizer.train` finished."
        )
    return found


class LearnedPolicy:
    """A trained policy for one network.

    Args:
        folder: A policy folder.
        scenario: The network to decide for; by default the one it was trained on. It may have another number of
            sensors where the policy can serve that.
        threads: Of onnxruntime.

    Raises:
        OptimizerError: A damaged file, or a network that it was not trained for.
    """

    def __init__(self, folder: Path | str, scenario: Scenario | None = None, threads: int = 1) -> None:
        import onnxruntime

        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        self.name = self.folder.name
        trained = Scenario.parse(self.manifest.scenario, str(self.folder / MANIFEST))
        self.scenario = scenario or trained
        self._check(trained)
        path = self.folder / ONNX
        if not path.is_file() or sha256(path) != self.manifest.onnx_sha256:
            raise OptimizerError(
                f"{path}: missing, or not the file that was written (SHA-256 differs).", "Train the policy again."
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        if self.manifest.preset == "paper":
            self._codec = Codec(self.scenario, "box", "scaled")
        else:
            self._kind = find_kinds(self.scenario, np.array(self.manifest.kinds))
            self._penalty = np.array(self._penalty_of(self.scenario), np.float32)

    @staticmethod
    def _penalty_of(scenario: Scenario) -> float:
        # Gains of goodput and delay are learned a task: N and N cancel.
        return scenario.penalty / scenario.sensors if scenario.reward == "utilization" else scenario.penalty

    def _check(self, trained: Scenario) -> None:
        own, other = trained.dump(), self.scenario.dump()
        differ = [k for k in sorted(set(own) | set(other)) if own.get(k) != other.get(k)]
        differ = [k for k in differ if k not in ("name", "notes", "groups", "extrapolate")]
        if differ:
            raise OptimizerError(
                f"{self.folder} was trained on {trained.name}; this network differs in {', '.join(differ)}.",
                "Train a policy on this network (python -m optimizer.train).",
            )
        if self.manifest.preset == "paper" and trained.groups != self.scenario.groups:
            raise OptimizerError(
                f"{self.folder} decides for {trained.sensors} sensors in groups of {list(trained.groups)}; "
                f"got {list(self.scenario.groups)}.",
                "The paper's network has one output a sensor: train one for this size, or use the default preset.",
            )
        if self.scenario.width > self.manifest.reach:
            raise OptimizerError(
                f"{self.folder} serves gateways of up to {self.manifest.reach} sensors; "
                f"got one of {self.scenario.width}.",
                "Train on more sensors.",
            )

    def decide(self, state: State) -> Action:
        """Offloading, models and shares for each slot.

        Raises:
            OptimizerError: A state that does not fit the network.
        """
        check_state(state, self.scenario)
        if self.manifest.preset == "paper":
            flat = self._session.run(None, {"observation": self._codec.observe(state)})[0]
            return self._codec.decode(np.clip(flat, -1, 1), len(state))
        counts = count_tasks(state, state.level >= 0, len(self.scenario.qos))[0]
        sent, model, share = self._session.run(
            None,
            {
                "counts": counts,
                "channel": state.channel.astype(np.int64),
                "kind": self._kind,
                "groups": self.scenario.constants.groups,
                "penalty": self._penalty,
            },
        )
        exact = share.astype(np.float64)
        return Action(
            send_first(state.level, sent.astype(np.int64)),
            model.astype(np.int64),
            exact / exact.sum(axis=1, keepdims=True),
        )
