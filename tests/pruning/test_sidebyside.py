"""Jobs side by side end as they would one after another, and all stop where one fails."""

import time
from threading import Event

import pytest
import torch

from pruning.sidebyside import StoppedBesideError, at_once, side_by_side


def test_as_many_at_once_as_there_are_threads_and_jobs_but_at_most_four():
    assert [at_once(threads, jobs) for threads, jobs in ((1, 9), (2, 9), (16, 9), (16, 3))] == [1, 2, 4, 3]


def test_each_has_its_share_of_the_threads_and_all_are_given_back():
    before = torch.get_num_threads()
    found = []
    side_by_side(range(4), lambda item, stop: found.append((item, torch.get_num_threads())), 4, 2)
    assert sorted(found) == [(i, 2) for i in range(4)]
    assert torch.get_num_threads() == before


def test_the_first_failure_stops_the_others_and_is_raised():
    ended = Event()

    def work(item: str, stop: Event) -> None:
        if item == "fails":
            raise ValueError("the loss became nan")
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if stop.is_set():
                ended.set()
                raise StoppedBesideError
            time.sleep(0.01)

    with pytest.raises(ValueError, match="the loss became nan"):
        side_by_side(["runs", "fails", "never begun"], work, 2, 2)
    assert ended.is_set()
