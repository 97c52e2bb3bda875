"""What each of two processes computes of a whole, compared with one process; started by torchrun.

    python -m torch.distributed.run --standalone --nproc-per-node 2 tests/two_processes.py REPORT

The leader writes the largest differences to the JSON file REPORT.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from tiny_sweep import rare_class
from torch import nn

from data.common.sweep.options import Execution
from pruning.baseline import line_coefficients
from pruning.filters import linear_masks
from pruning.parallel import ALONE, join
from pruning.spec import dense_spec
from pruning.train import TrainConfig, Trainer, predict
from pruning.vgg import CorrectingVGG, build_vgg
from pruning.wholebatch import whole_batch

BASE = TrainConfig(epochs=2, retrain_epochs=2, batch=9, precision="float32")
TRAININGS = {  # settings of the training, and of the model
    "network": (BASE, {}),
    "even shares": (replace(BASE, batch=8), {}),
    "straight line": (BASE, {"line": True}),
    "no batch norm": (BASE, {"batch_norm": False}),
    "balance": (replace(BASE, balance=1.0), {}),
    "dropout": (replace(BASE, dropout=0.3), {}),
    "distillation": (replace(BASE, distill=0.5, balance=0.5), {}),
    "masks": (BASE, {"masked": True}),
    "patience": (replace(BASE, patience=1, epochs=4, lr=0.02), {}),
}


def in_float64(spec, dropout):
    """A model whose network computes in float64, so that nothing but the algorithm can make a difference."""
    torch.manual_seed(0)
    model = build_vgg(spec, dropout)
    model.features.double()
    model.classifier.double()
    model.features[0].register_forward_pre_hook(lambda _, given: (given[0].double(),))
    if isinstance(model, CorrectingVGG):
        model.line.give(*line_coefficients(rare_class().train, 0.5))
    return model


def train(team, settings, masked=False, **structure):
    spec = dense_spec(3, 32, width=0.125, **structure)
    model, data = in_float64(spec, settings.dropout), rare_class()
    options = {"masks": linear_masks(model, 0.5)} if masked else {}
    teacher = in_float64(spec, 0.0) if settings.distill else None
    made = Trainer(
        model, data, settings, seed=0, device=torch.device("cpu"), team=team, teacher=teacher, retrain=False, **options
    )
    logs = made.run(lambda *_: None, lambda: None)
    return [log.train_loss for log in logs], predict(model, data.test.images)


def batch_norm(team, dtype, count):
    """Largest differences, relative to the largest value, between a divided batch's norm and nn.BatchNorm2d's."""
    generator = torch.Generator().manual_seed(count)
    whole = (3 + 2 * torch.randn(count, 5, 3, 4, generator=generator)).to(dtype)
    slopes = torch.randn(count, 5, 3, 4, generator=generator).to(dtype)

    def norm():
        made = nn.BatchNorm2d(5).to(dtype)
        with torch.no_grad():
            made.weight.copy_(torch.linspace(0.5, 2, 5))
            made.bias.copy_(torch.linspace(-1, 1, 5))
        return made

    expected, rows = norm(), team.rows(count)
    images = whole.clone().requires_grad_()
    values = expected(images)
    (values * slopes).sum().backward()

    own, share = norm(), whole[rows].clone().requires_grad_()
    with whole_batch(nn.Sequential(own), team, count):
        got = own(share)
        (got * slopes[rows]).sum().backward()
        team.sum_gradients(own.parameters())
        own.eval()
        evaluated = own(whole)
    pairs = {
        "values": (got, values[rows]),
        "gradient of images": (share.grad, images.grad[rows]),
        "gradient of weight": (own.weight.grad, expected.weight.grad),
        "gradient of bias": (own.bias.grad, expected.bias.grad),
        "running mean": (own.running_mean, expected.running_mean),
        "running variance": (own.running_var, expected.running_var),
        "in evaluation": (evaluated, expected.eval()(whole)),
        "batches": (own.num_batches_tracked.double(), expected.num_batches_tracked.double()),
    }
    assert "forward" not in vars(own), "the layer is as it was"
    return {name: float((a - b).detach().abs().max() / b.detach().abs().max()) for name, (a, b) in pairs.items()}


def dropped(team):
    """Whether the shares of a divided batch are, number for number, what nn.Dropout leaves of it."""
    values = torch.randn(9, 40, generator=torch.Generator().manual_seed(3))
    layer = nn.Dropout(0.3)
    torch.manual_seed(7)
    expected = layer(values)[team.rows(9)]
    torch.manual_seed(7)
    with whole_batch(nn.Sequential(layer), team, 9):
        return torch.equal(layer(values[team.rows(9)]), expected)


def worst(team, found):
    """The larger of both processes' numbers, by name."""
    names = sorted(found)
    mine = torch.tensor([float(found[name]) for name in names], dtype=torch.float64)
    other = team.sum(mine) - mine
    return dict(zip(names, torch.maximum(mine, other).tolist(), strict=True))


def main(report):
    with join("cpu", 2, Execution(hang_s=60)) as team:
        assert team.size == 2
        found = {
            f"{kind} {count}": worst(team, batch_norm(team, dtype, count))
            for kind, dtype in (("float32", torch.float32), ("float64", torch.float64))
            for count in (8, 9, 2)
        }
        found["dropout differs"] = worst(team, {"": not dropped(team)})[""]
        found["trainings"] = {}
        for name, (settings, options) in TRAININGS.items():
            losses, logits = train(team, settings, **options)
            if team.leads:
                expected_losses, expected = train(ALONE, settings, **options)
                assert len(losses) == len(expected_losses)
                found["trainings"][name] = {
                    "losses": max(abs(a - b) for a, b in zip(losses, expected_losses, strict=True)),
                    "logits": float(abs(logits - expected).max()),
                    "largest logit": float(abs(expected).max()),
                }
        if team.leads:
            Path(report).write_text(json.dumps(found))
        else:
            team.follow()


if __name__ == "__main__":
    main(sys.argv[1])
