"""Fields of the evaluations' files that need more than a type: summaries, curves, and tables whose keys are numbers."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from data.common.schema import LARGEST, Finite, NonNegative
from optimizer.schemes.summary import Summary

Point = Annotated[tuple[NonNegative, Finite], Field(strict=False)]
Curve = Annotated[list[Point], Field(min_length=1)]
FigureName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]  # it becomes a file's name
DRAWN = ("optimum", "jopav1", "agdm")  # schemes without which the figures and claims say nothing
SHOWN = (
    "reward", "utilization", "local_utilization", "bandwidth_utilization", "edge_utilization", "offloading_ratio",
    "drop_ratio", "accuracy", "delay_s",
)  # fmt: skip  # metrics that they show


def _summary(value: Any) -> Any:
    """A summary from parsed JSON; pydantic itself would convert text and truth values to numbers."""
    if not isinstance(value, dict):
        return value
    for name, number in value.items():
        if number is None and name in ("accuracy", "delay_s", "delay_p99_s", "flops"):
            continue
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) <= LARGEST:
            raise ValueError(f"{name}: expected a number of at most {LARGEST:g}; got {number!r}")
    try:
        return Summary(**value)
    except TypeError as error:
        raise ValueError(str(error).replace("Summary.__init__() ", "")) from None


Figures = Annotated[Summary, BeforeValidator(_summary)]


def _numbered(table: dict[str, Any]) -> dict[str, Any]:
    wrong = [key for key in table if not (key.isascii() and key.isdecimal() and len(key) < 10)]
    if wrong:
        raise ValueError(f"expected numbers of sensors as keys; got {wrong[0]!r}")
    return table


def check_rates(table: dict[str, Any]) -> dict[str, Any]:
    """Refuse keys that are no pruning rates. Raises ValueError."""
    for key in table:
        try:
            rate = float(key)
        except ValueError:
            rate = -1.0
        if not 0 <= rate < 1:
            raise ValueError(f"expected pruning rates as keys; got {key!r}")
    return table


Curves = Annotated[dict[str, list[Curve]], AfterValidator(_numbered)]
