"""The manifest of a policy: read, migrated, or refused with the reason."""

import json

import pytest

from optimizer import OptimizerError
from optimizer.learning.manifest import find_policies, read_manifest


def test_a_newer_or_damaged_manifest(tmp_path):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"schema": 9}))
    with pytest.raises(OptimizerError, match="schema 9 is newer than the 3"):
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


def test_a_manifest_of_the_first_schema_is_migrated(policies, tmp_path):
    content = json.loads((policies / "one" / "n20-seed0" / "policy.json").read_text())
    types = content.pop("gateway_types")
    (tmp_path / "policy.json").write_text(json.dumps(content | {"schema": 1, "kinds": types}))
    assert read_manifest(str(tmp_path)).gateway_types == tuple(map(tuple, types))


def test_a_file_without_a_schema_is_refused(tmp_path):
    (tmp_path / "policy.json").write_text("{}")
    with pytest.raises(OptimizerError, match="no schema version"):
        read_manifest(tmp_path)


def test_policies_are_found_at_and_below_a_folder(policies):
    assert [p.name for p in find_policies(str(policies / "one"))] == ["n20-seed0"]
    assert find_policies(policies / "one" / "n20-seed0") == [policies / "one" / "n20-seed0"]
    assert len(find_policies(policies)) == 3
