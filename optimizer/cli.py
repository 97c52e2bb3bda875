"""The console script `jopa`: every command of the project under one name, each loaded only when it is called.

`jopa train` is `python -m optimizer.train`: the same module, options and exit codes. Importing this module costs almost
nothing, so that `jopa --help` answers at once.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module

SHELLS = ("bash", "zsh", "tcsh")


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: What users type after `jopa`.
        module: Name of the module after `python -m`.
        code: Module that holds its `main` and its options.
        config: Name of the dataclass of its options in `code`.
        help: One line for `jopa --help`.
    """

    name: str
    module: str
    code: str
    config: str
    help: str


COMMANDS = {
    command.name: command
    for command in (
        Command("fetch", "data.fetch", "data.fetch", "FetchConfig", "Download bearing recordings."),
        Command(
            "inspect", "data.inspect", "data.inspect", "InspectConfig", "Look at recordings before training on them."
        ),
        Command(
            "prune", "pruning.run", "pruning.run", "SweepConfig", "Prune, retrain and test models; write a bundle."
        ),
        Command("profile", "profiling.run", "profiling.run", "RunConfig", "Measure a bundle's models on this machine."),
        Command("compare", "profiling.compare", "profiling.compare", "CompareConfig", "Compare two profiles."),
        Command("spec", "profiling.spec", "profiling.spec", "SpecConfig", "Make a profile from a datasheet."),
        Command("schema", "profiling.schema", "profiling.schema", "SchemaConfig", "Write the JSON schema of profiles."),
        Command(
            "profile-figures", "profiling.figures", "profiling.figures", "FiguresConfig", "Draw one or more profiles."
        ),
        Command("solve", "optimizer.solve", "optimizer.solve", "SolveConfig", "Find the exact optimum of many slots."),
        Command(
            "capacity",
            "optimizer.capacity",
            "optimizer.capacity",
            "CapacityConfig",
            "Find how many sensors a network carries.",
        ),
        Command("train", "optimizer.train", "optimizer.train", "TrainConfig", "Train an offloading policy."),
        Command("tune", "optimizer.tune", "optimizer.tune", "TuneConfig", "Look for better settings of a preset."),
        Command(
            "evaluate",
            "optimizer.evaluate",
            "optimizer.evaluation.compare",
            "EvaluateConfig",
            "Compare policies with the optimum and the schemes.",
        ),
        Command(
            "experiment",
            "optimizer.experiment",
            "optimizer.experiment",
            "ExperimentConfig",
            "Repeat the paper's experiments.",
        ),
        Command("figures", "optimizer.figures", "optimizer.figures", "FiguresConfig", "Draw an experiment's results."),
        Command(
            "trial",
            "optimizer.trial",
            "optimizer.trial.__main__",
            "TrialConfig",
            "Carry decisions out with real processes and real models.",
        ),
        Command(
            "demo",
            "optimizer.pipeline",
            "optimizer.pipeline.__main__",
            "PipelineConfig",
            "Do everything, from recordings to one page to read.",
        ),
    )
}


def usage() -> str:
    """The text of `jopa --help`."""
    lines = ["usage: jopa COMMAND [OPTIONS]", "", "Prune, profile and offload neural fault detection.", "", "commands:"]
    width = max(map(len, COMMANDS))
    lines += [f"  {command.name:<{width}}  {command.help}" for command in COMMANDS.values()]
    lines += [
        f"  {'completion':<{width}}  Print a completion script for {', '.join(SHELLS[:-1])} or {SHELLS[-1]}.",
        "",
        "`jopa COMMAND --help` lists the options of a command. Each command is also a module, for example",
        "`python -m optimizer.solve`. Exit codes: 0 after success, 2 if you must mend something, 130 or 143",
        "if the command was stopped.",
    ]
    return "\n".join(lines)


def completion(shell: str) -> str:
    """A script that completes the commands and their options in a shell ("bash", "zsh" or "tcsh").

    Raises:
        MissingExtraError: A command's options need an extra that is not installed.
    """
    import contextlib
    import io

    import tyro

    from data.common.extras import needs_extra

    with needs_extra(__name__):
        configs = {c.name: getattr(import_module(c.code), c.config) for c in COMMANDS.values()}
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        tyro.extras.subcommand_cli_from_dict(configs, prog="jopa", args=["--tyro-print-completion", shell])
    return out.getvalue()


def _fail(problem: str, remedy: str) -> int:
    print(f"error: {problem}\n  {remedy}", file=sys.stderr)
    return 2


def _print_completion(arguments: Sequence[str]) -> int:
    from data.common.errors import UserError

    if len(arguments) != 1 or arguments[0] not in SHELLS:
        got = " ".join(arguments) or "nothing"
        return _fail(
            f"jopa completion takes one of {', '.join(SHELLS)}; got {got}.", 'Try: eval "$(jopa completion bash)"'
        )
    try:
        print(completion(arguments[0]))
    except UserError as error:
        return _fail(error.problem, error.remedy)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `jopa`.

    Args:
        arguments: What follows `jopa`; by default the process's own.

    Returns:
        0 after success and 2 after an error that the user can mend; a command itself exits as `run_command` says.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if given else 2
    if given[0] == "--version":
        from importlib.metadata import version

        print(f"jopa {version('jopa')}")
        return 0
    if given[0] == "completion":
        return _print_completion(given[1:])
    command = COMMANDS.get(given[0])
    if command is None:
        near = get_close_matches(given[0], COMMANDS, n=1)
        return _fail(
            f"jopa has no command {given[0]!r}.",
            f"Did you mean jopa {near[0]}?" if near else "jopa --help lists all commands.",
        )
    from data.common.command import called_as
    from data.common.extras import MissingExtraError, needs_extra
    from data.common.loading import stop_quietly_while_loading

    stop_quietly_while_loading()
    try:
        with needs_extra(__name__):
            module = import_module(command.code)
    except MissingExtraError as error:
        return _fail(error.problem, error.remedy)
    with called_as(f"jopa {command.name}", given[1:]):
        module.main()
    return 0
