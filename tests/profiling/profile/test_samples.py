"""How long a run is that hardly any exceeds: by simulation, and against a queue that is simulated task by task."""

import copy

import numpy as np
import pytest
from profiles import content
from safetensors.numpy import save_file

from data.common.files import sha256
from profiling import Profile, ProfilingError
from profiling.profile.samples import Samples, cells_of, read_samples

CELL = (0.5, "fp32", 1, 2)


def heavy(rng, count):
    """Milliseconds with rare spikes."""
    return 1e-3 * np.exp(0.05 * rng.standard_normal(count)) * np.where(rng.random(count) < 0.02, 6.0, 1.0)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
def test_the_next_run_exceeds_the_tail_with_at_most_the_share(share):
    """Whatever the distribution; so often on average that it is not wastefully long either."""
    rng = np.random.default_rng(0)
    beyond = 0.0
    for _ in range(400):
        samples = Samples({CELL: [heavy(rng, 60)]})
        found = samples.tail(CELL, share, samples.relative())
        assert found.enough
        beyond += np.mean(heavy(rng, 400) > found.seconds) / 400
    assert share - 1 / 61 - 0.01 <= beyond <= share + 0.01


def test_of_too_few_runs_the_longest_is_taken_or_what_the_others_say():
    short = np.full(20, 1.0)
    short[-1] = 1.5
    other = np.ones(2000)
    other[:4] = 3.0
    samples = Samples({CELL: [short], (0.9, "fp32", 1, 2): [other]})
    relative = samples.relative()
    assert len(relative) == 2020
    few = samples.tail(CELL, 0.001, relative)
    assert (few.seconds, few.runs, few.enough) == (3.0, 20, False)
    assert samples.tail(CELL, 0.01, relative).seconds == 1.5  # the others say 1.0 at this share
    assert samples.tail((0.9, "fp32", 1, 2), 0.001, relative).enough
    assert samples.tail(CELL, 0.05, relative).enough  # 20 runs are enough for 1 in 21


@pytest.mark.parametrize("together", [1, 20])
def test_a_queue_planned_with_its_tail_delays_few_tasks_beyond_the_plan(together):
    """Tasks of any arrivals; runs are independent, or slow 20 at a time. The queue is simulated task by task."""
    rng = np.random.default_rng(5)

    def runs(count):
        return 1e-3 * np.repeat(np.where(rng.random(-(-count // together)) < 0.02, 2.0, 1.0), together)[:count]

    planned = Samples({CELL: [runs(2000) for _ in range(5)]}).queue_tail(CELL, 0.05).seconds
    late = total = 0
    for _ in range(300):
        service = runs(60)
        arrival = np.sort(rng.uniform(0, 0.05, 60))
        done = plan = 0.0
        for at, took in zip(arrival, service, strict=True):
            done, plan = max(done, at) + took, max(plan, at) + planned
            late += done > plan + 1e-12
            total += 1
    assert late / total <= 0.06
    assert planned > 1e-3


def test_the_queue_s_tail_is_that_of_the_largest_mean_that_ends_with_a_run():
    runs = np.array([1.0, 1.0, 4.0, 1.0, 1.0])
    found = Samples({CELL: [runs]})
    means = [max(runs[j : i + 1].mean() for j in range(i + 1)) for i in range(5)]
    for share in (0.5, 0.35, 0.2):
        k = int(np.ceil(6 * (1 - share) - 1e-9))
        assert found.queue_tail(CELL, share).seconds == pytest.approx(sorted(means)[k - 1])


def test_rounds_that_differ_are_found_by_leaving_them_out():
    rng = np.random.default_rng(2)
    alike = Samples({CELL: [1 + 0.01 * rng.random(500) for _ in range(8)]})
    beyond, total = alike.left_out([CELL], 0.01)
    assert total == 4000
    assert beyond / total < 0.02
    apart = Samples({CELL: [level + 0.01 * rng.random(500) for level in (1.0, 1.0, 1.0, 1.1)]})
    beyond, total = apart.left_out([CELL], 0.01)
    assert beyond / total > 0.2
    assert Samples({CELL: [np.ones(5)]}).left_out([CELL], 0.1) == (0, 0)


@pytest.fixture
def kept(tmp_path):
    """A profile with its runs beside it."""
    made = content()
    tensors = {
        f"{m['rate']:g}/fp32/{x['batch']}/2/{visit}": np.full(3, x["p50_s"], np.float32)
        for m in made["models"]
        for x in m["latency"]
        for visit in (0, 1)
    }
    tensors["peak/fp32/1024/2/0"] = np.ones(3, np.float32)
    (tmp_path / "p").mkdir()
    save_file(tensors, tmp_path / "p" / "samples.safetensors")
    made["measurement"] |= {
        "samples": "p/samples.safetensors",
        "samples_sha256": sha256(tmp_path / "p" / "samples.safetensors"),
    }
    return tmp_path / "p.json", made


def test_the_runs_beside_a_profile_are_read(kept):
    path, made = kept
    profile = Profile.parse(made, "p")
    samples = read_samples(path, profile)
    assert len(samples.visits) == 7 * 3
    assert [len(v) for v in samples.visits[(0.5, "fp32", 4, 2)]] == [3, 3]
    assert set(cells_of(samples, profile)) == set(samples.visits)


@pytest.mark.parametrize(
    ("change", "message", "remedy"),
    [
        (
            lambda m, p: m.update(kind="datasheet", measurement=None),
            "a datasheet; no run was measured",
            "profiling.run",
        ),
        (lambda m, p: m["measurement"].update(samples=None), "names no file with its runs", "Measure again"),
        (lambda m, p: (p.parent / "p" / "samples.safetensors").unlink(), "its runs are missing", "Copy the folder p "),
        (lambda m, p: m["measurement"].update(samples_sha256="0" * 64), "not the runs that p.json was made", "Copy"),
        (
            lambda m, p: (
                (p.parent / "p" / "samples.safetensors").write_bytes(b"no runs"),
                m["measurement"].update(samples_sha256=None),
            ),
            "not a readable safetensors file",
            "Copy",
        ),
    ],
)
def test_a_profile_without_its_runs_says_what_to_do(kept, change, message, remedy):
    path, made = kept
    made = copy.deepcopy(made)
    change(made, path)
    with pytest.raises(ProfilingError, match=message) as caught:
        read_samples(path, Profile.parse(made, "p"))
    assert remedy in caught.value.remedy
