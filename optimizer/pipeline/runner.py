"""Runs a pipeline's stages, each in processes of its own; what is done and unchanged is not done again."""

import time
from itertools import chain, count
from pathlib import Path

from rich.console import Console

from data.common.console import say
from data.common.device import library_version
from data.common.runfolder import only_process
from optimizer.errors import OptimizerError
from optimizer.pipeline.options import PipelineConfig
from optimizer.pipeline.process import run_commands
from optimizer.pipeline.stages import STAGES, Stage, stages, write_small_scenario
from optimizer.pipeline.state import PipelineState, StageRecord, read_state


def run_pipeline(config: PipelineConfig, console: Console) -> Path:
    """Run all stages that are not done, and return the path of the report.

    Raises:
        OptimizerError: A stage failed (it is named), or the folder is in use or of another version.
    """
    out = config.out
    with only_process(out):
        write_small_scenario(config)
        state, note = read_state(out)
        if note:
            say(console, note)
        for number, stage in enumerate(stages(config), 1):
            state = _advance(stage, state, out, f"[{number}/{len(STAGES)}] {stage.name}", console)
    say(console, f"all stages: {sum(s.seconds or 0 for s in state.stages.values()):.0f} s")
    return out / "report.html"


def _advance(stage: Stage, state: PipelineState, out: Path, head: str, console: Console) -> PipelineState:
    """Run one stage if it is not done; the state after it."""
    now = stage.fingerprint()
    before = state.stages.get(stage.name)
    changed = before is not None and before.made_from != now
    if before is not None and not changed and before.seconds is not None and all(p.is_file() for p in stage.leaves):
        say(console, f"{head}: done before")
        return state
    if changed:
        say(console, f"{head}: its input has changed, it is done again")
        for path in stage.resumes:
            set_aside(path)
    else:
        say(console, head)
    # Begun: if it is stopped from here on, the next start goes on with what it left.
    state = _recorded(state, stage, StageRecord(made_from=now, seconds=None), out)
    begun = time.monotonic()
    for commands in [stage.commands] if stage.together else [(command,) for command in stage.commands]:
        run_commands(commands, stage.name)
    if stage.after is not None:
        stage.after()
    left = [p for p in stage.leaves if not p.is_file()]
    if left:
        raise OptimizerError(f"stage {stage.name}: {left[0]} was not written.")
    return _recorded(state, stage, StageRecord(made_from=now, seconds=time.monotonic() - begun), out)


def _recorded(state: PipelineState, stage: Stage, record: StageRecord, out: Path) -> PipelineState:
    """The state with a stage's record, written."""
    state = PipelineState(library=library_version("jopa"), stages={**state.stages, stage.name: record})
    state.save(out)
    return state


def set_aside(path: Path) -> None:
    """Rename what a stage left from other inputs: its command would go on with it, or refuse to."""
    if not path.exists():
        return
    now = time.strftime("%Y%m%d-%H%M%S")
    names = (path.with_stem(f"{path.stem}-{now}{after}") for after in chain([""], (f"-{n}" for n in count(2))))
    path.rename(next(name for name in names if not name.exists()))
