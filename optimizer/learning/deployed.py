"""A trained policy as it is deployed: `LearnedPolicy(folder).decide(state)`, with onnxruntime and without torch.

In a factory's network the policy is laws and a search (`factory`), and numba takes the place of onnxruntime.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Int8, Int64

from data.common.files import sha256
from data.common.guard import is_file
from data.common.onnxfile import open_onnx, read_onnx
from optimizer.errors import OptimizerError
from optimizer.learning.gateway_types import find_gateway_types, gateway_types_of
from optimizer.learning.manifest import MANIFEST, ONNX, TRAIN_AGAIN, WEIGHTS, read_manifest
from optimizer.learning.units import drop_cost
from optimizer.network.checks import check_action, check_state
from optimizer.network.codec import Codec
from optimizer.network.scenario import Scenario
from optimizer.network.slots import PADDING, Action, State, count_tasks, send_first
from optimizer.schemes.base import Policy

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
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        self.name = self.folder.name
        trained = Scenario.parse(self.manifest.scenario, str(self.folder / MANIFEST))
        self.scenario = scenario or trained
        self._check(trained)
        self._factory: Policy | None = None
        if self.manifest.onnx_sha256 is None:
            self._factory = self._load_laws()
            return
        path = self._checked(ONNX, self.manifest.onnx_sha256)
        read_onnx(path, OptimizerError, remedy=TRAIN_AGAIN)
        paper = self.manifest.preset == "paper"
        outputs = ("action",) if paper else ("sent", "model", "share")
        self._run, inputs = open_onnx(path, OptimizerError, threads=threads, outputs=outputs, remedy=TRAIN_AGAIN)
        expected = {"observation"} if paper else {"counts", "channel", "groups", "penalty"}
        if inputs - {"gateway_type", "kind"} != expected:
            raise OptimizerError(f"{path}: another model: it takes {', '.join(sorted(inputs))}.", TRAIN_AGAIN)
        if paper:
            self._codec = Codec(self.scenario, "box", "scaled")
        else:
            own = gateway_types_of(self.scenario)
            found = find_gateway_types(own, np.array(self.manifest.gateway_types))
            self._gateway_type = dict.fromkeys(inputs - expected, found)  # policies of schema 1 say `kind`

    def _checked(self, name: str, digest: str) -> Path:
        """The path of a file that is as it was written."""
        path = self.folder / name
        if not is_file(path) or sha256(path) != digest:
            raise OptimizerError(
                f"{path}: missing, or not the file that was written (SHA-256 differs).", "Train the policy again."
            )
        return path

    def _load_laws(self) -> Policy:
        """The policy of a factory's network, which numba compiles; its gateways keep their order."""
        from optimizer.learning.factory.deployed import load_policy

        types = np.array(self.manifest.gateway_types)
        if len(types) != self.scenario.gateways:
            raise OptimizerError(
                f"{self.folder / MANIFEST}: gateway_types: expected one for each of the {self.scenario.gateways} "
                f"gateways; got {len(types)}.",
                TRAIN_AGAIN,
            )
        for g, (own, known) in enumerate(zip(gateway_types_of(self.scenario), types, strict=True)):
            find_gateway_types(own[None], known[None], first=g)
        return load_policy(self._checked(WEIGHTS, self.manifest.weights_sha256), self.scenario)

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
        if trained.gateways != self.scenario.gateways:
            raise OptimizerError(
                f"{self.folder} decides for {trained.gateways} gateways; this network has {self.scenario.gateways}.",
                "Train a policy on this network (python -m optimizer.train).",
            )
        if self.scenario.width > self.manifest.reach:
            raise OptimizerError(
                f"{self.folder} serves gateways of up to {self.manifest.reach} sensors; "
                f"got one of {self.scenario.width}.",
                "Train a policy on more sensors.",
            )

    def decide(self, state: State) -> Action:
        """Offloading, models, shares and refused tasks for each slot. Sensors may be silent: their level is -1.

        Raises:
            OptimizerError: The state does not fit the network, or what the policy gives is not a decision.
        """
        check_state(state, self.scenario)
        try:
            action = self._decide(state)
            check_action(action, state, self.scenario)
        except (OptimizerError, ValueError, IndexError, FloatingPointError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise OptimizerError(f"{self.folder}: its decision is none: {reason}", TRAIN_AGAIN) from None
        return action

    def _decide(self, state: State) -> Action:
        if self._factory is not None:
            return self._factory.decide(state)
        if self.manifest.preset == "paper":
            flat = self._run({"observation": self._codec.observe(state)})[0]
            return self._codec.decode(np.clip(flat, -1, 1), state)
        counts = count_tasks(state, state.level != PADDING, len(self.scenario.qos))[0]
        sent = np.zeros_like(counts)
        model = np.zeros(state.channel.shape, np.int64)
        share = np.zeros(state.channel.shape)
        # The policy takes one number of tasks per gateway for a whole batch: slots with the same sensors silent, or
        # none, are decided together.
        tasks, which = np.unique(counts.sum(axis=2), axis=0, return_inverse=True)
        for index, groups in enumerate(tasks):
            own = which.reshape(-1) == index
            sent[own], model[own], share[own] = self._decide_alike(counts[own], state.channel[own], groups)
        total = share.sum(axis=1, keepdims=True)
        if not (np.isfinite(share).all() and (total > 0).all()):
            raise OptimizerError("shares that are not numbers, or are all 0.")
        return Action(send_first(state.level, sent), model, share / total)

    def _decide_alike(
        self,
        counts: Int64[np.ndarray, "slots gateways levels"],
        channel: Int8[np.ndarray, "slots gateways"],
        groups: Int64[np.ndarray, " gateways"],
    ) -> list[np.ndarray]:
        """Tasks sent of each level, models and shares, for slots with the same number of tasks at each gateway."""
        if (groups == 0).any():  # the share of nothing is not defined: an empty gateway is shown one uncritical task
            groups = np.maximum(groups, 1)
            counts = counts.copy()
            counts[..., 0] += counts.sum(axis=2) == 0
        penalty = drop_cost(self.scenario, int(groups.sum()))
        sent, model, share = self._run(
            {
                "counts": counts,
                "channel": channel.astype(np.int64),
                **self._gateway_type,
                "groups": groups,
                "penalty": np.array(penalty, np.float32),
            }
        )
        if (sent.shape, model.shape, share.shape) != (counts.shape, channel.shape, channel.shape):
            raise OptimizerError(f"another model: shapes {sent.shape}, {model.shape} and {share.shape}.")
        return [sent, model, share]
