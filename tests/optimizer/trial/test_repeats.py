"""What is run while something else takes the cores is run again, whatever times it took."""

from types import SimpleNamespace

import numpy as np
import pytest

from optimizer.trial import machines
from optimizer.trial.carry_out import Ratios, Rehearsal, Turn
from optimizer.trial.machines import LEARNED, TRIES, Machines, Repeats
from optimizer.trial.processes import Worker
from optimizer.trial.results import Repeated, TrialFile
from optimizer.trial.sentences import repeats_lines


class Process(Worker):
    """Answers each list of jobs with the number of the call as its seconds; some calls are disturbed."""

    def __init__(self, disturbed):
        self.calls, self._disturbed = 0, disturbed

    def run(self, jobs):
        self.calls += 1
        said = ["the hypervisor kept back 9% of the cores' time"] if self._disturbed(self.calls) else []
        return [([float(self.calls)] * len(windows), [0] * len(windows)) for _, windows, _ in jobs], said


@pytest.fixture
def tried():
    made = Machines.__new__(Machines)
    made.repeats = Repeats()
    return made


def seconds(tried, process):
    ((took, _),) = tried._quiet(process, [((0.0, "fp32"), [0], 1)])
    return took


def test_a_quiet_run_counts_as_it_is(tried):
    process = Process(lambda call: False)
    assert [seconds(tried, process) for _ in range(3)] == [[1.0], [2.0], [3.0]]
    assert tried.repeats == Repeats(runs=3)


def test_a_disturbed_run_is_run_again_until_one_is_quiet(tried):
    assert seconds(tried, Process(lambda call: call < 3)) == [3.0]
    assert tried.repeats == Repeats(1, 1, 0, "the hypervisor kept back 9% of the cores' time")


def test_a_machine_that_is_never_quiet_is_taken_as_it_is(tried):
    process = Process(lambda call: True)
    assert seconds(tried, process) == [float(TRIES)]
    for _ in range(LEARNED - 1):
        seconds(tried, process)
    calls = process.calls
    seconds(tried, process)
    assert process.calls == calls + 1
    assert (tried.repeats.runs, tried.repeats.repeated, tried.repeats.disturbed) == (LEARNED + 1, LEARNED, LEARNED + 1)


def test_of_the_edge_only_the_windows_are_repeated_that_were_disturbed(tried, monkeypatch):
    monkeypatch.setattr(machines, "EDGE_RUN", 2)
    tried._edge = Process(lambda call: call == 2)
    tried._setting = SimpleNamespace(complete=(0.0, "fp32"), bundle=SimpleNamespace(labels=np.zeros(5, int)))
    tried.seen = tried.right = {(0.0, "fp32"): np.zeros(5, bool)}
    took, classes = tried.run_edge(np.arange(5))
    assert took.tolist() == [1, 1, 3, 3, 4]
    assert len(classes) == 5


def test_the_sentences_say_how_many_and_why():
    reason = "other processes took 40% of the cores"

    def told(**fields):
        return repeats_lines(TrialFile.model_construct(repeated=Repeated(**fields) if fields else None, schemes={}))

    assert told() == []
    assert told(runs=9, repeated=0, disturbed=0, reason=None, outliers=0) == []
    assert told(runs=9, repeated=2, disturbed=0, reason=reason, outliers=0) == [
        f"2 of 9 runs were disturbed and run again ({reason})."
    ]
    assert told(runs=9, repeated=2, disturbed=1, reason=reason, outliers=3) == [
        f"2 of 9 runs were disturbed and run again ({reason}); 1 were disturbed at the last try too, and count all "
        "the same.",
        "3 runs of a gateway took over 1.15 times as long as the others, and they count.",
    ]


def rehearsed(times):
    """Seconds that count and those with repeats, of turns that took these times and were planned with 1 s."""
    made = Rehearsal.__new__(Rehearsal)
    made.ratios = Ratios(local=list(times))
    made._turns = {(i, ()): Turn(0, [], 1.0, [[0]], [took], [took]) for i, took in enumerate(times)}
    made._machines = SimpleNamespace(run_batches=lambda *_: [(1.0, [0])], repeats=Repeats())
    made._repeat_outliers()
    turns = made._turns.values()
    return [turn.took_s[0] for turn in turns], [turn.again_s[0] for turn in turns], made._machines.repeats.outliers


def test_a_run_that_stands_out_is_run_again_and_counts_as_it_was_measured():
    assert rehearsed([1.0, 1.1, 1.05, 1.3]) == ([1.0, 1.1, 1.05, 1.3], [1.0, 1.1, 1.05, 1.0], 1)


def test_a_machine_that_is_slow_throughout_has_no_outliers():
    assert rehearsed([1.5, 1.6, 1.55]) == ([1.5, 1.6, 1.55], [1.5, 1.6, 1.55], 0)
