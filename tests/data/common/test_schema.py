import pytest
from pydantic import ValidationError

from data.common.errors import UserError
from data.common.files import write_json
from data.common.parse import read_json
from data.common.schema import Fraction, Strict, check_schema, first_problem


class Part(Strict):
    share: Fraction


class Whole(Strict):
    parts: list[Part]


def test_what_is_written_is_read_back(tmp_path):
    write_json(tmp_path / "a.json", {"name": "Ä", "values": [1, 2.5, None]})
    assert read_json(tmp_path / "a.json", UserError) == {"name": "Ä", "values": [1, 2.5, None]}


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "cannot be read as JSON"), (b"\xff\xfe", "cannot be read"), (b"[" * 100_000, "nested too deeply")],
)
def test_a_file_that_is_not_json_is_named_with_the_remedy(tmp_path, content, message):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_json(tmp_path / "a.json", UserError, remedy="Restore it.")
    assert "a.json" in caught.value.problem
    assert caught.value.remedy == "Restore it."


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(UserError, match="is a folder; expected a JSON file"):
        read_json(tmp_path, UserError, remedy="Restore it.")


def test_a_missing_file_has_a_remedy_of_its_own(tmp_path):
    with pytest.raises(UserError, match="no such file") as caught:
        read_json(tmp_path / "a.json", UserError, missing="Write it first.", remedy="Restore it.")
    assert caught.value.remedy == "Write it first."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"schema": 3}, "schema 3 is newer than the 2"),
        ({"schema": 0}, "unknown schema 0"),
        ({"schema": True}, "no schema version"),
        ({}, "no schema version"),
        ([], "no schema version"),
    ],
)
def test_other_schemas_are_refused(content, message):
    with pytest.raises(UserError, match=message):
        check_schema(content, 2, "a.json", UserError, "a profile")
    check_schema({"schema": 1}, 2, "a.json", UserError, "a profile")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            {"parts": [{"share": 0.5}, {"share": 1.5}]},
            "parts.1.share: Input should be less than or equal to 1; got 1.5",
        ),
        ({"parts": [], "colour": "red"}, "colour: unknown key; got 'red'"),
        ({}, "parts: missing"),
    ],
)
def test_the_first_wrong_field_is_named_by_its_path(content, told):
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(content)
    assert first_problem(caught.value) == told
