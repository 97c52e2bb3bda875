"""The schedule of a training: what is tried at the start, and what is left at the end."""

import pytest

from optimizer import OptimizerError
from optimizer.learning.schedule import LearnerConfig, Schedule

C = LearnerConfig(updates=1000)
SCHEDULE = Schedule(C)


def test_everything_is_tried_while_nothing_is_known():
    assert {SCHEDULE.at(i).explore for i in range(10)} == {1.0}
    assert SCHEDULE.at(10).explore < C.explore


def test_it_ends_with_the_last_values():
    last = SCHEDULE.at(999)
    assert last.explore == C.explore_last
    assert last.temperature == pytest.approx(C.temperature_last)
    assert last.spread == pytest.approx(C.spread_last)
    assert last.critic_lr == pytest.approx(C.critic_lr / 50, rel=0.01)
    assert last.network_lr == pytest.approx(C.network_lr / 50, rel=0.01)


def test_half_way_the_spread_has_its_second_value_and_rates_begin_to_fall():
    half = SCHEDULE.at(500)
    assert half.spread == pytest.approx(C.spread_half)
    assert half.critic_lr == C.critic_lr
    assert SCHEDULE.at(501).critic_lr < C.critic_lr


def test_nothing_ever_grows_but_the_claims_share_of_attention():
    phases = [SCHEDULE.at(i) for i in range(1000)]
    for name in ("explore", "temperature", "spread", "critic_lr", "network_lr", "claim_lr"):
        values = [getattr(p, name) for p in phases]
        assert values == sorted(values, reverse=True)


def test_claims_are_searched_for_first_and_every_tenth_update():
    searched = [i for i in range(1000) if SCHEDULE.at(i).search_now]
    assert searched == list(range(9, 300, 10))
    assert [SCHEDULE.at(i).searching for i in (0, 299, 300)] == [True, True, False]


@pytest.mark.parametrize("name", ["updates", "slots", "block"])
def test_a_message_names_the_option_that_the_command_has(name):
    with pytest.raises(OptimizerError, match=rf"--default\.{name}: expected at least 1; got 0"):
        LearnerConfig(**{name: 0})
