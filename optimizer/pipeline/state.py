"""What is known of a pipeline's stages, `pipeline.json`: from what each was made, and how long it took."""

from pathlib import Path

from pydantic import Field, ValidationError

from data.common.files import write_json
from data.common.parse import read_json
from data.common.schema import NonNegative, Strict, check_schema, first_problem
from optimizer.errors import OptimizerError

SCHEMA = 3
FILE = "pipeline.json"
REMEDY = "Give another --out, or remove this file: then every stage is run again."


class Fingerprint(Strict):
    """What a stage is made from.

    Attributes:
        commands: Its commands, each as module and arguments.
        reads: SHA-256 of each file whose content it depends on.
    """

    commands: list[list[str]]
    reads: dict[str, str]


class StageRecord(Strict):
    """One stage that was begun.

    Attributes:
        made_from: From what.
        seconds: How long it took; None while it is not finished.
    """

    made_from: Fingerprint
    seconds: NonNegative | None


class PipelineState(Strict):
    """`pipeline.json`.

    Attributes:
        schema_version: Version of the format, written as `schema`.
        library: Version of this library that ran the last stage.
        stages: Record of each stage by its name.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    library: str | None = None
    stages: dict[str, StageRecord] = Field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write it, whole or not at all."""
        write_json(folder / FILE, self.model_dump(mode="json", by_alias=True))


def read_state(folder: str | Path) -> tuple[PipelineState, str]:
    """The state of a run folder, and a note for the user ("" if there is nothing to say).

    A folder of the version before (2) is used: its stages are run again, and their commands keep what is finished.

    Raises:
        OptimizerError: A file that cannot be read, of another version, or with a wrong field (its path is named).
    """
    path = Path(folder) / FILE
    if not path.exists():
        return PipelineState(), ""
    content = read_json(path, OptimizerError, remedy=REMEDY)
    if isinstance(content, dict) and "schema" not in content and "version" in content:
        if content["version"] != 2:
            raise OptimizerError(
                f"{folder} was made by another version of the pipeline ({content['version']!r}).", REMEDY
            )
        return PipelineState(), (
            f"{folder} was made by an older version: every stage is run again; a command whose settings are the same "
            "keeps what it has finished."
        )
    check_schema(content, SCHEMA, str(path), OptimizerError, "the state of a pipeline")
    try:
        return PipelineState.model_validate(content), ""
    except ValidationError as error:
        raise OptimizerError(f"{path}: {first_problem(error)}.", REMEDY) from None
