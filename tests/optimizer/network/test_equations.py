"""The paper's own numbers, and what the errata say of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slots_by_hand import PAPER

from optimizer import draw_states
from optimizer.network.constants import batch_seconds, uplink_rate
from optimizer.network.equations import queueing_delay, tasks_ahead
from optimizer.network.parts import LocalModel

REWARDS = ["utilization", "goodput", "delay"]


def test_the_whole_bands_rate_is_the_papers_5_68_mbit_per_s():
    assert PAPER.constants.max_rate == pytest.approx(5.68e6, rel=2e-3)


def test_the_printed_noise_gives_0_817_mbit_per_s_instead():
    """Errata row 1."""
    one = np.ones(1)
    assert uplink_rate(6e-13 * one, one, one, 5e6, 1e-18)[0] == pytest.approx(0.817e6, rel=1e-3)


def test_a_mini_slot_takes_2_88_ms_and_347_fill_a_slot():
    """Errata rows 2 and 5; with 64,000 bit it would be 89."""
    assert PAPER.constants.minislot_s == pytest.approx(2.881e-3, rel=1e-3)
    assert 1 / PAPER.constants.minislot_s == pytest.approx(347.1, abs=0.1)
    assert PAPER.constants.max_rate / 64_000 == pytest.approx(88.9, abs=0.1)


def test_rates_sending_times_and_holds_of_the_three_channel_states():
    tables = PAPER.constants
    assert tables.rate[0] == pytest.approx([1.585e6, 2.322e6, 2.807e6], rel=1e-3)
    assert tables.transmission_s[0] * 1e3 == pytest.approx([10.3, 7.1, 5.8], abs=0.06)
    assert tables.hold_s[0] * 1e3 == pytest.approx([11.5, 8.6, 8.6], abs=0.06)
    assert tables.minislots[0].tolist() == [4, 3, 3]


def test_no_share_of_the_edge_means_a_whole_slot_a_task():
    """Errata row 4: the printed epsilon of 5e-13 is a lost giga."""
    assert PAPER.constants.epsilon == pytest.approx(4.92e-4, rel=1e-3)
    assert PAPER.constants.edge_task_s / PAPER.constants.epsilon == 1.0


def test_channel_states_settle_where_the_markov_chain_leaves_them_alone():
    pi = PAPER.constants.stationary
    assert pi @ PAPER.constants.transitions == pytest.approx(pi)
    states = draw_states(PAPER, 4000, seed=0)
    assert np.bincount(states.channel.ravel(), minlength=3) / states.channel.size == pytest.approx(pi, abs=0.02)
    assert np.bincount(states.level.ravel(), minlength=6) / states.level.size == pytest.approx([1 / 6] * 6, abs=0.01)


def test_bad_channels_never_turn_good_in_one_slot():
    channel = draw_states(PAPER, 3000, seed=1).channel
    assert not ((channel[:-1] == 0) & (channel[1:] == 2)).any()
    moved = channel[1:][channel[:-1] == 1]
    assert np.bincount(moved, minlength=3) / len(moved) == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


def test_single_offloaded_task_waits_for_nobody():
    """Errata row 7: the printed eq. (11) would give -delta * tau / 2."""
    waits = queueing_delay(np.array([[[0, 0, 1]]]), np.array([[0.01]]))
    assert waits[0, 0].tolist() == [0, 0, 0]


def test_equals_share_the_mean_of_their_positions_behind_the_more_critical():
    offloaded = np.array([[[2, 3, 1]]])
    assert tasks_ahead(offloaded)[0, 0].tolist() == [4, 1, 0]
    assert queueing_delay(offloaded, np.array([[0.01]]))[0, 0] == pytest.approx([0.045, 0.02, 0.0])


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6))
def test_the_positions_of_a_queue_add_up_to_those_of_its_places(counts):
    waits = queueing_delay(np.array([[counts]]), np.array([[1.0]]))[0, 0]
    sent = sum(counts)
    assert float(waits @ counts) == pytest.approx(sent * (sent - 1) / 2)


def test_unequal_groups_share_the_band_in_proportion():
    scenario = PAPER.change(groups=(30, 10))
    share = np.array([0.75])
    expected = uplink_rate(np.array([6e-13]), share, np.ones(1), 5e6, 1e-19)[0]
    assert scenario.constants.rate[0, 2] == pytest.approx(expected)


def test_a_batch_larger_than_the_largest_measured_one_runs_in_portions_of_it():
    """Also where a noisy profile says that 4 windows are faster than 2."""
    model = LocalModel(rate=0.5, accuracy=1.0, latency_s=((1, 1.0), (2, 2.0), (4, 1.8)))
    found = batch_seconds(model, np.array([0, 1, 3, 4, 5, 7, 8, 20, 102]), 1.0, None)
    np.testing.assert_allclose(found, [0.0, 1.0, 1.9, 1.8, 2.8, 3.7, 3.6, 9.0, 47.0])


def test_a_model_that_was_measured_for_single_windows_runs_them_one_by_one():
    model = LocalModel(rate=0.5, accuracy=1.0, latency_s=((1, 0.5),))
    np.testing.assert_allclose(batch_seconds(model, np.array([0, 1, 7]), 1.0, None), [0.0, 0.5, 3.5])
