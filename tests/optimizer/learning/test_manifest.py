"""The manifest of a policy: read, migrated, or refused with the reason."""

import json

import pytest

from optimizer import OptimizerError
from optimizer.learning.manifest import find_policies, read_manifest


def test_a_newer_or_damaged_manifest(tmp_path):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"schema": 9}))
    with pytest.raises(OptimizerError, match="schema 9 is newer than the 2"):
        read_manifest(tmp_path)
    path.write_text(json.dumps({"schema": 1, "preset": "other"}))
    with pytest.raises(OptimizerError, match="preset"):
        read_manifest(tmp_path)
    path.write_text("{")
    with pytest.raises(OptimizerError, match="cannot be read as JSON"):
        read_manifest(tmp_path)


def test_a_folder_without_policies(tmp_path):
    with pytest.raises(OptimizerError, match=r"no policy\.json there or below"):
        find_policies(tmp_path)
