"""The public names of `profiling`, as a notebook uses them."""

import subprocess
import sys

import pytest

import profiling


@pytest.mark.parametrize("name", profiling.__all__)
def test_every_public_name_exists_and_is_documented(name):
    assert getattr(profiling, name).__doc__


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'profil'"):
        _ = profiling.profil


def test_the_package_is_light():
    heavy = ("torch", "onnx", "matplotlib", "scipy", "numpy", "pydantic")
    code = f"import sys, profiling; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_profile_goes_round_through_a_path_given_as_text(tmp_path):
    profile = profiling.datasheet_profile(profiling.Datasheet(device="i7-12700"))
    profile.save(str(tmp_path / "p.json"))
    assert profiling.Profile.load(str(tmp_path / "p.json")) == profile


def test_a_bundle_is_read_from_a_path_given_as_text(bundle):
    assert [s.entry.rate for s in profiling.read_bundle(str(bundle)).subjects] == [0.0, 0.5, 0.9]
