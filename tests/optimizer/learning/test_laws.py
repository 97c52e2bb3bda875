"""The laws that the critic is composed of have the form that their docstrings say."""

import math

import pytest
import torch

from optimizer.learning.laws import BatchTime, Correction, Deadline, EdgeLaw, GainLaw, PositiveTime, QueueTime


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.no_grad():
        yield


def test_a_time_starts_where_it_should_and_stays_positive_whatever_is_stored():
    time = PositiveTime((2,), 0.05)
    assert time().tolist() == pytest.approx([0.05, 0.05])
    torch.nn.init.constant_(time.stored, -20.0)
    assert (time() > 0).all()


def test_a_larger_step_moves_a_time_further():
    """Adam's first step is the learning rate: the time changes by exp(step * rate)."""
    for step in (1.0, 3.0):
        time = PositiveTime((), 0.05, step)
        adam = torch.optim.Adam(time.parameters(), lr=0.01)
        with torch.enable_grad():
            (-time()).backward()
        adam.step()
        assert float(time()) == pytest.approx(0.05 * math.exp(0.01 * step), rel=1e-4)


def test_a_deadline_is_missed_half_of_the_time_at_the_deadline_itself():
    deadline = Deadline(10.0)
    assert float(deadline(torch.tensor(0.3), torch.tensor(0.3))) == pytest.approx(0.5)


@pytest.mark.parametrize(("ratio", "late"), [(0.5, 1 / 1025), (2.0, 1024 / 1025)])
def test_the_chance_of_being_late_is_a_power_of_time_over_deadline(ratio, late):
    """sigmoid(s log r) = r^s / (1 + r^s)."""
    assert float(Deadline(10.0)(torch.tensor(ratio), torch.tensor(1.0))) == pytest.approx(late, rel=1e-4)


def test_corrections_start_at_zero_and_end_where_training_ended():
    correction = Correction((2, 3), step=0.1)
    assert not correction(3).any()
    torch.nn.init.ones_(correction.stored)
    assert correction(2)[0].tolist() == pytest.approx([0.1, 0.1])
    assert correction(5)[0].tolist() == pytest.approx([0.1, 0.1, 0.1, 0, 0])


def test_a_tasks_gain_is_affine_in_the_batch_and_its_inverse():
    law = GainLaw(1, 1, 4)
    law.law.data[:] = torch.tensor([2.0, 3.0, 40.0])
    assert law(torch.arange(5.0))[0, 0, 1:].tolist() == pytest.approx([2 + 3 / n + n for n in (1, 2, 3, 4)])


def test_a_batch_takes_a_fixed_time_and_a_time_per_task():
    law = BatchTime(1, 1)
    seconds = law(torch.arange(4.0))[0, 0]
    assert seconds.diff().tolist() == pytest.approx([float(law.task())] * 3, rel=1e-5)
    assert float(seconds[0]) == pytest.approx(float(law.batch()))


def test_waiting_grows_by_the_same_time_with_each_place():
    law = QueueTime(1, 3)
    waits = law(torch.arange(5.0))
    assert waits.shape == (1, 2, 3, 5)
    assert waits.diff().flatten().tolist() == pytest.approx([float(law.place()[0]) / 2] * 24, rel=1e-4)


def test_the_edge_takes_less_time_with_a_larger_share_and_accepts_more_often():
    law = EdgeLaw(1, 3, 5, 1.0)
    shares = torch.tensor([[0.01, 0.05, 0.2]])
    found = law(torch.zeros(3, dtype=torch.int64), torch.zeros(1, 3, dtype=torch.int64), torch.log(shares))
    assert (found.gain.diff() < 0).all()
    assert (found.accepted.diff() > 0).all()
    assert float(found.accepted[0, 1]) == pytest.approx(0.5, abs=0.01)  # at the share from which it keeps up
