"""Processes that train one model together, each on its share of every batch: what torchrun starts.

Process 0, the leader, does everything that it would do alone. Before it trains, it calls the others, its followers,
which do nothing but train with it. All use of `torch.distributed` is here.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from data.common.device import choose_device, usable_cores
from data.common.errors import UserError
from data.common.sweep.options import Execution
from data.common.sweep.worker import end_with_parent
from pruning.errors import PruningError

LAST_WORDS_S = 3.0  # torchrun ends all others well within this time of a process that failed; picked by hand
LONGEST_S = 30 * 86400.0

Value = TypeVar("Value")


class LostError(PruningError):
    """Another process of the team has ended, or did not answer in time."""


@contextmanager
def _answered() -> Iterator[None]:
    """What torch raises where a process is gone or silent, as an error of ours."""
    try:
        yield
    except RuntimeError as error:
        raise LostError(
            f"another process of this training ended or gave no answer ({str(error).splitlines()[0][:200]}).",
            "Its own message says why. Finished models are kept; the same command goes on from here.",
        ) from error


@dataclass(frozen=True)
class Team:
    """The processes that train together, seen from one of them. A team of one computes as if there were no team.

    Attributes:
        rank: Number of this process, from 0.
        size: Number of processes.
        local_size: How many of them share this machine's cores.
        device: Where this process computes; None in a team of one, which may choose.
    """

    rank: int = 0
    size: int = 1
    local_size: int = 1
    device: torch.device | None = None

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that plans, prints and writes."""
        return self.rank == 0

    def identity(self) -> dict[str, int]:
        """What distinguishes the results of this team from those of another: sums are taken in another order."""
        return {} if self.alone else {"processes": self.size}

    def rows(self, count: int) -> slice:
        """The rows of a batch of `count` that are this process's share; shares differ by one row at most."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over all processes; gradients flow through it, to all of them."""
        return tensor if self.alone else cast(Tensor, _Sum.apply(tensor))

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace each parameter's gradient by its sum over all processes."""
        if self.alone:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        whole = torch.cat([g.reshape(-1) for g in gradients])  # memory layouts may differ between processes
        _reduce(whole)
        for gradient, total in zip(gradients, torch.split(whole, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(total.view(gradient.shape))

    def from_leader(self, value: Value) -> Value:
        """The leader's value, on every process."""
        if self.alone:
            return value
        box = [value]
        with _answered():
            dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Let each follower call `function(team, *arguments)`; the leader goes on at once and does its own part.

        Args:
            function: One of a module, since it travels by its name.
            arguments: Picklable.
        """
        self.from_leader((function, arguments))

    def follow(self) -> None:
        """Do what the leader calls for, until it has finished."""
        nothing: Any = None
        while (called := self.from_leader(nothing)) is not None:
            function, arguments = called
            function(self, *arguments)


ALONE = Team()


class _Sum(torch.autograd.Function):
    """Sum over all processes. The loss is such a sum as well, so each share's gradient is the sum of all gradients."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:  # noqa: ARG004 - torch's signature
        total = tensor.detach().clone(memory_format=torch.contiguous_format)
        _reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004 - as above
        total = gradient.clone(memory_format=torch.contiguous_format)
        _reduce(total)
        return total


def _reduce(tensor: Tensor) -> None:
    with _answered():
        dist.all_reduce(tensor)


def _launched() -> Team:
    """The team that torchrun has started this process in, as its environment tells; otherwise a team of one."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return ALONE
    rank, size, here = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    return Team(rank, size, here)


@contextmanager
def one_voice() -> Iterator[None]:
    """Silence a follower's standard output and errors: what all processes have to say, the leader says."""
    if _launched().leads:
        yield
        return
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


@contextmanager
def join(device: str, threads: int, execution: Execution) -> Iterator[Team]:
    """The team of this process, connected. Leaving it releases the followers and disconnects.

    Args:
        device: "auto", "cpu" or "cuda"; with the latter, each process of a machine has a GPU of its own.
        threads: CPU threads that the processes of a machine share; 0 for all cores.
        execution: Who does the jobs. `hang_s` is how long one process waits for another.

    Raises:
        PruningError: Ray was asked for as well, there is not a GPU for each process, or a process was lost.
    """
    launched = _launched()
    if launched.alone:
        yield ALONE
        return
    with _last_words(launched):
        if execution.executor == "ray":
            raise PruningError(
                "--executor ray cannot be combined with torchrun, which has started the processes already.",
                "Leave out --executor ray, or start the command without torchrun.",
            )
        own = _own_device(device, launched)
        team = replace(launched, device=own)
        end_with_parent(os.getppid())  # `kill -9` of torchrun leaves no process behind
        torch.set_num_threads(max(1, (threads or usable_cores()) // team.local_size))
        backend = "cpu:gloo,cuda:nccl" if own.type == "cuda" else "gloo"
        with _answered():
            dist.init_process_group(backend, timeout=timedelta(seconds=min(execution.hang_s, LONGEST_S)))
        yield team
        if team.leads:
            team.from_leader(None)
        dist.destroy_process_group()


def _own_device(name: str, team: Team) -> torch.device:
    """The CPU, or the GPU with this process's number on this machine."""
    device = choose_device(name, PruningError)
    if device.type == "cpu":
        return device
    if team.local_size > torch.cuda.device_count():
        raise PruningError(
            f"{team.local_size} processes need a GPU each; this machine has {torch.cuda.device_count()}.",
            f"Give torchrun --nproc-per-node {torch.cuda.device_count()}, or add --device cpu.",
        )
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    return device


@contextmanager
def _last_words(team: Team) -> Iterator[None]:
    """Let each error be told once.

    An error that all processes meet is told by the leader. It ends first, and torchrun ends the followers while they
    wait here; the same holds for one that merely misses another. What only a follower has met, it tells itself.
    """
    try:
        yield
    except Exception as error:
        if not team.leads or isinstance(error, LostError):
            time.sleep(LAST_WORDS_S)
        if not team.leads and isinstance(error, UserError):
            print(f"error in process {team.rank} of {team.size}: {error}", file=sys.__stderr__, flush=True)
        raise
