import numpy as np
import pytest

from data import DataError, Fault, Location, Recording
from data.recording import class_name


def recording(**changes) -> Recording:
    base = {"name": "a", "source": "test", "channels": {"DE": np.zeros(10)}, "sampling_rate_hz": 1000.0}
    return Recording(**{**base, **changes})


def test_class_name_of_a_fault_names_location_and_size():
    fault = Fault(Location.INNER, 0.3556)
    assert class_name(recording(fault=fault), "fault") == "inner-0.014in"
    assert class_name(recording(fault=fault), "location") == "inner"


def test_the_users_own_label_wins():
    assert class_name(recording(label="pump", fault=Fault(Location.BALL)), "fault") == "pump"


def test_several_channels_and_none_named_are_refused_with_their_names():
    with pytest.raises(DataError, match=r"several channels: DE, FE"):
        recording(channels={"DE": np.zeros(4), "FE": np.zeros(4)}).signal()


def test_an_unknown_channel_is_named_with_those_that_exist():
    with pytest.raises(DataError, match="no channel 'BA'; it holds DE"):
        recording().signal("BA")


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_sampling_rate_that_is_none_is_refused(rate):
    with pytest.raises(DataError, match="sampling rate must be above 0"):
        recording(sampling_rate_hz=rate)


def test_duration_is_samples_over_rate():
    assert recording(channels={"DE": np.zeros(2500)}).duration_s == 2.5
