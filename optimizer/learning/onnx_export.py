"""Write a trained policy as ONNX, so that it decides where there is no torch."""

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from optimizer.learning.critic import CriticValues
from optimizer.learning.decisions import Slots
from optimizer.learning.paper_sac import Actor
from optimizer.learning.policy import Jopa

INPUTS = ("counts", "channel", "gateway_type", "groups", "penalty")
OUTPUTS = ("sent", "model", "share")
BATCH = 11  # of the example that is traced; unlike any fixed size, or the exporter may take the batch for fixed too


class BestDecision(nn.Module):
    """The policy's best decision, with the critic's values computed once.

    Args:
        policy: A trained policy.
        width: Number of tasks of the largest gateway that it shall serve.
    """

    def __init__(self, policy: Jopa, width: int) -> None:
        super().__init__()
        self.policy = policy
        self.width = width
        with torch.no_grad():
            values = policy.critic.values(width)
        for name in ("gain", "local_drop", "queue_drop"):
            self.register_buffer(name, getattr(values, name).contiguous())
        self.gain: Tensor
        self.local_drop: Tensor
        self.queue_drop: Tensor

    def forward(
        self, counts: Tensor, channel: Tensor, gateway_type: Tensor, groups: Tensor, penalty: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Tasks of each level that are sent, models and shares.

        Args:
            counts: Number of tasks of each level at [batch, gateway, level].
            channel: Channel states at [batch, gateway].
            gateway_type: Type of each gateway.
            groups: Number of tasks of each gateway.
            penalty: Cost of one dropped task in units of gain, see `units`.
        """
        facts = self.policy.facts(gateway_type, groups, penalty, self.width)
        values = CriticValues(self.gain, self.local_drop, self.queue_drop)
        decision = self.policy(values, Slots(facts, counts, channel))
        return decision.sent, decision.model, decision.claims.share


def to_onnx(policy: Jopa, width: int, gateways: int) -> bytes:
    """The policy as one ONNX file, for batches of any size.

    Args:
        policy: A trained policy.
        width: Number of tasks of the largest gateway that it shall serve.
        gateways: Number of gateways of the networks that it shall serve.
    """
    levels = len(policy.critic.features.level)
    module = BestDecision(policy, width).eval()
    example = (
        torch.ones(BATCH, gateways, levels, dtype=torch.int64),
        torch.zeros(BATCH, gateways, dtype=torch.int64),
        torch.zeros(gateways, dtype=torch.int64),
        torch.full((gateways,), levels, dtype=torch.int64),
        torch.tensor(0.5),
    )
    batch = torch.export.Dim("batch")
    shapes = ({0: batch}, {0: batch}, None, None, None)
    return _export(module, example, shapes, INPUTS, OUTPUTS)


def _export(
    module: nn.Module, example: tuple[Tensor, ...], shapes: Any, inputs: Sequence[str], outputs: Sequence[str]
) -> bytes:
    with warnings.catch_warnings(), torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        program = torch.onnx.export(
            module, example, dynamo=True, dynamic_shapes=shapes, input_names=inputs, output_names=outputs, verbose=False
        )
        assert program is not None
        path = Path(folder) / "policy.onnx"
        program.save(path, external_data=False)
        return path.read_bytes()


class MeanAction(nn.Module):
    """The paper's agent without its noise: tanh of the mean."""

    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self.actor = actor

    def forward(self, observation: Tensor) -> Tensor:
        """Observations -> flat actions in [-1, 1]."""
        return torch.tanh(self.actor(observation)[0])


def actor_to_onnx(actor: Actor, numbers: int) -> bytes:
    """The paper's agent as one ONNX file; the batch is free.

    Args:
        actor: A trained actor.
        numbers: Size of an observation.
    """
    example = (torch.zeros(BATCH, numbers),)
    return _export(
        MeanAction(actor).cpu().eval(), example, ({0: torch.export.Dim("batch")},), ("observation",), ("action",)
    )
