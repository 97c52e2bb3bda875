from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import tiny_dataset

from pruning import PruningError
from pruning.augment import Augmentation, augment, stretch
from pruning.descent import class_weights, learning_rate
from pruning.filters import linear_masks
from pruning.spec import dense_spec
from pruning.train import TrainConfig, Trainer, predict
from pruning.vgg import build_vgg

CPU = torch.device("cpu")
QUICK = TrainConfig(epochs=4, retrain_epochs=2, batch=8, dropout=0.1, precision="float32")


def trainer(dataset, config=QUICK, seed=0, **options):
    torch.manual_seed(seed)
    model = build_vgg(dense_spec(3, 32, width=0.0625), config.dropout)
    return Trainer(model, dataset, config, seed=seed, device=CPU, **options)


def run(made, on_epoch=lambda t, log: None):
    return made.run(on_epoch, lambda: None)


@pytest.mark.usefixtures("one_thread")
class TestTrainer:
    def test_it_learns_three_bright_bands(self, dataset):
        made = trainer(dataset, replace(QUICK, epochs=12, lr=0.02))
        run(made)
        called = predict(made.model, dataset.test.images).argmax(axis=1)
        assert (called == dataset.test.labels).mean() > 0.9

    def test_equal_seeds_give_equal_weights_and_others_do_not(self, dataset):
        weights = []
        for seed in (0, 0, 1):
            made = trainer(dataset, seed=seed)
            run(made)
            weights.append(made.model.state_dict())
        assert all(torch.equal(weights[0][n], weights[1][n]) for n in weights[0])
        assert not all(torch.equal(weights[0][n], weights[2][n]) for n in weights[0])

    @pytest.mark.parametrize("epoch", [1, 3])
    def test_resumed_at_any_epoch_it_ends_with_the_same_weights(self, dataset, epoch):
        whole = trainer(dataset)
        run(whole)

        class Killed(BaseException):
            pass

        kept = {}

        def stop(now, log):
            if now.state.epoch == epoch:
                kept["tensors"] = {n: t.clone() for n, t in now.snapshot().items()}
                kept["state"] = replace(now.state, logs=list(now.state.logs))
                raise Killed

        with pytest.raises(Killed):
            run(trainer(dataset), stop)
        resumed = trainer(dataset)
        resumed.resume(kept["tensors"], kept["state"])
        run(resumed)
        assert resumed.state.logs == whole.state.logs
        for name, tensor in whole.model.state_dict().items():
            assert torch.equal(tensor, resumed.model.state_dict()[name]), name

    def test_masked_weights_stay_zero(self, dataset):
        made = trainer(dataset)
        masks = linear_masks(made.model, 0.8)
        made = Trainer(made.model, dataset, QUICK, seed=0, device=CPU, retrain=True, masks=masks)
        run(made)
        for name, parameter in made.model.named_parameters():
            if name in masks:
                assert not parameter[~masks[name]].any()

    def test_patience_stops_early_and_keeps_the_best(self, dataset):
        made = trainer(dataset, replace(QUICK, epochs=30, patience=2, lr=0.02))
        logs = run(made)
        losses = [log.validation_loss for log in logs]
        assert len(logs) < 30
        assert made._validate(dataset.validation)[0] == pytest.approx(min(losses), rel=1e-5)

    def test_distillation_follows_the_teacher(self, dataset):
        teacher = trainer(dataset, replace(QUICK, epochs=10, lr=0.02))
        run(teacher)
        made = trainer(
            dataset,
            replace(QUICK, retrain_epochs=10, retrain_lr=0.02, distill=1.0),
            retrain=True,
            teacher=teacher.model,
        )
        run(made)
        same = predict(made.model, dataset.test.images).argmax(1) == predict(teacher.model, dataset.test.images).argmax(
            1
        )
        assert same.mean() > 0.9

    def test_a_loss_that_is_not_finite_stops_with_seed_and_epoch(self, dataset):
        """F17."""
        bad = replace(dataset, train=replace(dataset.train, images=dataset.train.images * np.float32(np.nan)))
        with pytest.raises(PruningError, match=r"the loss became nan in epoch 1 \(seed 0\)"):
            run(trainer(bad))

    def test_no_validation_part_is_no_obstacle(self, dataset):
        empty = replace(
            dataset.validation,
            images=dataset.validation.images[:0],
            labels=dataset.validation.labels[:0],
            recordings=dataset.validation.recordings[:0],
            starts_s=dataset.validation.starts_s[:0],
        )
        logs = run(trainer(replace(dataset, validation=empty)))
        assert logs[-1].validation_loss is None


def test_class_weights_give_every_class_the_same_say():
    labels = np.array([0] * 90 + [1] * 10)
    weights = class_weights(labels, 2, 1.0)
    assert class_weights(labels, 2, 0.0).tolist() == [1.0, 1.0]
    assert float(weights[0]) * 90 == pytest.approx(float(weights[1]) * 10)


def test_the_learning_rate_warms_up_and_ends_near_zero():
    rates = [learning_rate(s, 100, 0.1) for s in range(100)]
    assert max(rates) == pytest.approx(0.1)
    assert rates[0] < 0.02
    assert rates[-1] < 0.001


def test_augmentation_is_repeatable_and_leaves_the_original():
    images = torch.randn(4, 1, 32, 32)
    before = images.clone()
    a, b = (augment(images, Augmentation(gain=0.1), torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(a, b)
    assert torch.equal(images, before)
    assert not torch.equal(a, images)


def test_stretching_moves_a_line_by_its_factor():
    images = torch.zeros(1, 1, 101, 8)
    images[0, 0, 50] = 1
    moved = stretch(images, torch.tensor([1.1]))
    assert int(moved[0, 0, :, 3].argmax()) == 55
    torch.testing.assert_close(stretch(images, torch.tensor([1.0])), images)


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 0},
        {"lr": -1.0},
        {"lr": float("nan")},
        {"dropout": 1.5},
        {"weight_decay": -1.0},
        {"batch": 0},
        {"restraint": -1.0},
    ],
)
def test_training_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(PruningError, match=next(iter(settings)).replace("_", "-")):
        TrainConfig(**settings)


def test_tiny_data_sets_are_reproducible():
    np.testing.assert_array_equal(tiny_dataset().train.images, tiny_dataset().train.images)
