import pytest

from data.common.errors import UserError
from data.common.options import parse_list


def test_values_are_separated_by_commas_or_spaces():
    assert parse_list("0.1, 0.3 0.5", float, "rates") == (0.1, 0.3, 0.5)
    assert parse_list("a,b", str, "names") == ("a", "b")


@pytest.mark.parametrize(
    ("text", "message"), [("0.1;0.2", "separated by commas"), ("", "empty"), ("0.1,0.10", "twice")]
)
def test_rates_that_are_not_a_list_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        parse_list(text, float, "rates")
