"""A trained policy as it is deployed: `LearnedPolicy(folder).decide(state)`, with onnxruntime and without torch."""

from pathlib import Path

import numpy as np

from data.common.files import sha256
from optimizer.errors import OptimizerError
from optimizer.learning.gateway_types import find_gateway_types, gateway_types_of
from optimizer.learning.manifest import MANIFEST, ONNX, read_manifest
from optimizer.learning.units import drop_cost
from optimizer.network.checks import check_state
from optimizer.network.codec import Codec
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State, count_tasks, send_first

MAY_DIFFER = ("name", "notes", "groups", "extrapolate")  # parts of a scenario that a policy does not depend on


class LearnedPolicy:
    """A trained policy for one network.

    Args:
        folder: A policy folder, written by `python -m optimizer.train`.
        scenario: The network to decide for; by default the one that the policy was trained on. It may have another
            number of sensors if the policy can serve that number.
        threads: Number of threads of onnxruntime.

    Raises:
        OptimizerError: A file is damaged, or the policy was not trained for this network.
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
            own = gateway_types_of(self.scenario)
            self._gateway_type = find_gateway_types(own, np.array(self.manifest.gateway_types))
            self._penalty = np.array(drop_cost(self.scenario), np.float32)

    def _check(self, trained: Scenario) -> None:
        own, other = trained.dump(), self.scenario.dump()
        differ = [k for k in sorted(set(own) | set(other)) if own.get(k) != other.get(k) and k not in MAY_DIFFER]
        if differ:
            raise OptimizerError(
                f"{self.folder} was trained on {trained.name}; this network differs in {', '.join(differ)}.",
                "Train a policy on this network (python -m optimizer.train).",
            )
        if self.manifest.preset == "paper" and trained.groups != self.scenario.groups:
            raise OptimizerError(
                f"{self.folder} decides for {trained.sensors} sensors in groups of {list(trained.groups)}; "
                f"got {list(self.scenario.groups)}.",
                "The paper's network has one output per sensor: train one for this size, or use the default preset.",
            )
        if self.scenario.width > self.manifest.reach:
            raise OptimizerError(
                f"{self.folder} serves gateways of up to {self.manifest.reach} sensors; "
                f"got one of {self.scenario.width}.",
                "Train a policy on more sensors.",
            )

    def decide(self, state: State) -> Action:
        """Offloading, models and shares for each slot.

        Raises:
            OptimizerError: The state does not fit the network.
        """
        check_state(state, self.scenario)
        if self.manifest.preset == "paper":
            flat = self._session.run(None, {"observation": self._codec.observe(state)})[0]
            return self._codec.decode(np.clip(flat, -1, 1), state)
        counts = count_tasks(state, state.level >= 0, len(self.scenario.qos))[0]
        sent, model, share = self._session.run(
            None,
            {
                "counts": counts,
                "channel": state.channel.astype(np.int64),
                "gateway_type": self._gateway_type,
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
