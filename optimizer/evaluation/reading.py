"""Reading the files of evaluations: every field is checked, and messages say what is wrong and where."""

from pathlib import Path
from typing import Any

from data.common.parse import read_json
from data.common.schema import Model, check_schema, parse_model, read_model
from optimizer.errors import OptimizerError
from optimizer.evaluation.capacity import CapacityFile
from optimizer.evaluation.results import SCHEMA, Captions, Claims, Evaluation, Results

RENAMED = {"overall_utilization": "utilization", "delay": "delay_s"}  # metrics of files without a schema version
AGAIN = "Run `python -m optimizer.experiment` again."


def read_results(path: str | Path) -> Results:
    """The experiment's `results.json`. A file without a schema version is read, too.

    Raises:
        OptimizerError: No such file, or not a file of results; the field is named.
    """
    path = Path(path)
    missing = "`python -m optimizer.experiment` writes it."
    content = read_json(path, OptimizerError, missing=missing, remedy=AGAIN)
    if isinstance(content, dict) and "schema" not in content and "sizes" in content:
        content = _first_schema(content)
    check_schema(content, SCHEMA, str(path), OptimizerError, "a file of results of the experiment")
    return parse_model(content, Results, str(path), OptimizerError, remedy=AGAIN)


def _first_schema(content: dict[str, Any]) -> dict[str, Any]:
    """Results as they were written before they had a schema; their mean delays are means over slots."""

    def scheme(old: Any) -> Any:
        kept = ("summary", "levels", "seeds")
        if not isinstance(old, dict):
            return old
        means = {RENAMED.get(k, k): v for k, v in old.items() if k not in kept}
        return {"means": means, **{k: old[k] for k in kept if k in old}}

    def part(old: Any, change: Any) -> Any:
        return {k: change(v) for k, v in old.items()} if isinstance(old, dict) else old

    sizes, small, capacity = content["sizes"], content.get("small"), content.get("capacity", [])
    if isinstance(sizes, list):
        sizes = [
            {**row, "schemes": part(row.get("schemes"), scheme), "rates": part(row.get("rates"), scheme)}
            if isinstance(row, dict)
            else row
            for row in sizes
        ]
    if isinstance(small, dict):
        shares = {k: small[k] for k in ("grid", "continuous") if k in small}
        small = {**shares, "policies": {k: v for k, v in small.items() if k not in shares}}
    if isinstance(capacity, list):
        capacity = [
            {**{k: v for k, v in row.items() if k != "sensors_a_gateway"}, "sensors_per_gateway": _whole(sensors)}
            if isinstance(row, dict) and (sensors := row.get("sensors_a_gateway")) is not None
            else row
            for row in capacity
        ]
    return {**content, "schema": SCHEMA, "sizes": sizes, "small": small, "capacity": capacity}


def _whole(value: Any) -> Any:
    """Such files hold whole numbers as 10.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def read_claims(path: str | Path) -> Claims:
    """The experiment's `claims.json`. Raises OptimizerError."""
    return _read(path, Claims, "a file of claims", AGAIN)


def read_captions(path: str | Path) -> Captions:
    """The experiment's `captions.json`. Raises OptimizerError."""
    return _read(path, Captions, "a file of captions", AGAIN)


def read_evaluation(path: str | Path) -> Evaluation:
    """A file of `python -m optimizer.evaluate --json`. Raises OptimizerError."""
    return _read(path, Evaluation, "a file of an evaluation", "Run `python -m optimizer.evaluate --json FILE` again.")


def read_capacity(path: str | Path) -> CapacityFile:
    """A file of `python -m optimizer.capacity --json`. Raises OptimizerError."""
    return _read(path, CapacityFile, "a file of capacities", "Run `python -m optimizer.capacity --json FILE` again.")


def _read(path: str | Path, model: type[Model], what: str, remedy: str) -> Model:
    return read_model(Path(path), model, SCHEMA, OptimizerError, what=what, remedy=remedy)
