"""The command `python -m optimizer.tune`: look for better settings of a preset."""

from dataclasses import replace

from data.common.command import run_command
from data.common.console import make_console, say
from data.common.device import usable_cores
from data.common.extras import needs_extra
from data.common.progress import work_bar
from data.common.runfolder import only_process
from data.common.sweep.job import Job
from data.common.sweep.sweep import Sweep

with needs_extra(__name__):
    from optimizer.tuning.options import TuneConfig
    from optimizer.tuning.report import write_report
    from optimizer.tuning.storage import told_if_full
    from optimizer.tuning.study import address, ended, open_study, repeat_failed, shown
    from optimizer.tuning.worker import do_trials, enough


def run(config: TuneConfig) -> None:
    """Carry out what is missing of the study, and say what came of it."""
    console = make_console()
    cores = config.workers or usable_cores()
    config = replace(config, storage=address(config), workers=cores, out=config.out.absolute(), study=config.name)
    with only_process(config.out), told_if_full(address(config)):
        study = open_study(config)
        repeat_failed(study)
        say(console, f"study {config.name} in {shown(address(config))}: {ended(study)} of {config.trials} trials")
        bar = work_bar(console)
        task = bar.add_task("trials", total=config.trials, completed=ended(study))

        def hear(_: str, said: tuple[int, int, float, int | None]) -> None:
            worker, percent, reward, number = said
            if number is None:
                bar.update(task, description=f"worker {worker}: {percent} %, reward {reward:.4f}")
                return
            done = ended(study)
            bar.update(task, completed=done)
            if not console.is_terminal and done % max(1, config.trials // 10) == 0:
                say(console, f"{done} of {config.trials} trials")

        jobs = [Job(f"worker{i}", i) for i in range(min(cores, config.trials))]
        with bar, Sweep(do_trials, config, config.execution, cores=cores, hear=hear) as sweep:
            sweep.run(jobs, lambda _: enough(config))
        for line in sweep.summary.lines():
            say(console, line, "yellow")
        found = write_report(config, study)
    best, before = found["best"], found["begun_with"]
    was = f" (the settings as they were: {before['reward']:.4f})" if before and before["reward"] is not None else ""
    say(console, f"{found['finished']} trials finished, {found['stopped_early']} stopped early")
    say(console, f"best: trial {best['trial']}, reward {best['reward']:.4f} on validation slots{was}")
    say(console, f"options: {found['options']}")
    say(console, f"table and pictures: {config.out / 'tuning.html'}")


def main() -> None:
    """Entry point of `python -m optimizer.tune`."""
    run_command(TuneConfig, run, "optimizer.tune", resume="Finished trials are kept; the same command goes on.")


if __name__ == "__main__":
    main()
