import pytest

from data.common.errors import UserError
from data.common.options import check_least, parse_list


def test_values_are_separated_by_commas_or_spaces():
    assert parse_list("0.1, 0.3 0.5", float, "rates") == (0.1, 0.3, 0.5)
    assert parse_list("a,b", str, "names") == ("a", "b")


@pytest.mark.parametrize(
    ("text", "message"), [("0.1;0.2", "separated by commas"), ("", "empty"), ("0.1,0.10", "twice")]
)
def test_rates_that_are_not_a_list_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        parse_list(text, float, "rates")


def test_a_number_below_its_least_value_is_refused_by_the_name_of_its_option():
    check_least(UserError, "slots", 2, 2)
    with pytest.raises(UserError, match="--slots: expected at least 2; got 1"):
        check_least(UserError, "slots", 1, 2)
