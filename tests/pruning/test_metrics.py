import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, recall_score

from pruning.metrics import difference, equal_groups, independent, score


def test_scores_are_scikit_learns():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 300)
    called = np.where(rng.random(300) < 0.7, labels, rng.integers(0, 4, 300))
    made = score(called[None], labels, np.ones(300, dtype=bool), 4, 0)
    assert made.accuracy.value == pytest.approx((called == labels).mean())
    assert made.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, called))
    np.testing.assert_allclose([r.value for r in made.recall], recall_score(labels, called, average=None))
    np.testing.assert_allclose(made.confusion, confusion_matrix(labels, called), atol=1e-5)


def test_a_missed_fault_is_a_fault_called_normal():
    labels = np.array([0, 0, 1, 1, 2, 2])
    called = np.array([[0, 1, 0, 1, 2, 1]])
    made = score(called, labels, np.ones(6, dtype=bool), 3, 0)
    assert made.missed_faults.value == 0.25
    assert made.false_alarms.value == 0.5


def test_without_a_normal_class_nothing_can_be_missed():
    made = score(np.array([[0, 1]]), np.array([0, 1]), np.ones(2, dtype=bool), 2, None)
    assert made.missed_faults is None


def test_seeds_narrow_no_interval():
    labels = np.zeros(20, dtype=np.int64)
    one = np.zeros((1, 20), dtype=np.int64)
    apart = np.ones(20, dtype=bool)
    a = score(one, labels, apart, 2, 0).accuracy
    b = score(np.repeat(one, 5, axis=0), labels, apart, 2, 0).accuracy
    assert a == b


def test_overlapping_windows_count_once():
    starts = np.tile(np.arange(0, 3.01, 0.25), 2)
    recordings = np.repeat([0, 1], 13)
    apart = independent(recordings, starts, 1.0)
    assert apart.sum() == 8
    np.testing.assert_array_equal(starts[apart], [0, 1, 2, 3, 0, 1, 2, 3])


def test_a_model_does_not_differ_from_itself():
    correct = np.random.default_rng(0).random((2, 60)) < 0.8
    assert difference([correct, correct], np.repeat(np.arange(6), 10)) == (0.0, 0.0, 0.0)


def test_one_flipped_recording_gives_an_interval_that_reaches_zero():
    """Windows stand and fall together: ten wrong windows of one recording are one observation."""
    first = np.ones((1, 100), dtype=bool)
    second = first.copy()
    second[0, :10] = False
    gain, low, high = difference([first, second], np.repeat(np.arange(10), 10))
    assert gain == pytest.approx(0.1)
    assert low == 0.0
    assert high > 0.2


def test_equal_groups_count_and_a_large_one_counts_for_less():
    assert equal_groups(np.repeat(np.arange(14), 9)) == 14
    assert equal_groups(np.repeat([0, 1, 2], [90, 5, 5])) == 1  # 100^2 / (90^2 + 50) = 1.2
    assert equal_groups(np.zeros(0, dtype=np.int64)) == 0


@pytest.mark.parametrize("alike", [0.0, 0.3, 1.0])
def test_an_interval_of_groups_holds_the_truth_however_alike_their_windows_are(alike):
    """14 recordings of 9 windows, 90 % right: a share `alike` of the recordings is all right or all wrong.

    The bootstrap over recordings is too sure of itself here: with `alike` 1 a draw in four has no wrong recording, and
    its interval is then 100 to 100 %.
    """
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(14), 9)
    apart = np.ones(len(groups), dtype=bool)
    held = bootstrapped = 0
    for _ in range(300):
        whole = rng.random(14) < alike
        wrong = np.where(np.repeat(whole, 9), np.repeat(rng.random(14) < 0.1, 9), rng.random(126) < 0.1).astype(
            np.int64
        )
        rate = score(wrong[None], np.zeros(126, dtype=np.int64), apart, 2, None, groups).accuracy
        assert rate.count == 14
        held += rate.low <= 0.9 <= rate.high
        means = 1 - wrong.reshape(14, 9).mean(axis=1)
        drawn = means[rng.integers(14, size=(400, 14))].mean(axis=1)
        low, high = np.percentile(drawn, [2.5, 97.5])
        bootstrapped += low <= 0.9 <= high
    assert held >= 0.95 * 300
    if alike == 1.0:
        assert bootstrapped < 0.8 * 300
