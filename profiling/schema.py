"""`python -m profiling.schema`: the JSON Schema of a profile."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.common.command import run_command
from data.common.files import write_json
from profiling.profile.profile import Profile


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) that every `profile.json` of this version follows."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Profile.model_json_schema(by_alias=True)


@dataclass(frozen=True)
class SchemaConfig:
    """Print the JSON Schema of `profile.json`, for programs that read profiles without this package."""

    out: Path | None = None
    """File to write the schema to, instead of printing it."""


def _run(config: SchemaConfig) -> None:
    if config.out is None:
        print(json.dumps(schema(), indent=2))
        return
    write_json(config.out, schema())
    print(f"schema: {config.out}")


def main() -> None:
    """Entry point of `python -m profiling.schema`."""
    run_command(SchemaConfig, _run, "profiling.schema", resume="Nothing is lost; run it again.")


if __name__ == "__main__":
    main()
