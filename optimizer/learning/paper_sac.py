"""The paper's soft actor-critic, section IV and Algorithm 1, to be read from top to bottom.

`SoftActorCritic` (with `Actor`, `Critic` and `Replay`) holds the networks and their updates, eq. (23) to (27); `Loop`
is Algorithm 1. Both work on any environment whose actions are a Box. The paper's agent is this on the environment
`jopa/OffloadingBox-v0`, which decodes the flat action into hybrid actions as in section IV-A (sigmoid and rounding for
offloading and models, softmax for shares), with the settings of Table III. Losses see the actions before rounding.
`docs/learning.md` says what it reaches and why; `policy` is the project's own policy.

Matrix products run in bfloat16 where the processor has instructions for it; Adam is fused, and the targets move in one
call.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from data.common.device import has_fast_bfloat16
from data.common.options import check_least
from optimizer.errors import OptimizerError

States = Float[Tensor, "batch states"]
Actions = Float[Tensor, "batch actions"]
LOG_STD = (-20.0, 2.0)  # bounds of the logarithm of the actor's standard deviation, as in Stable-Baselines3
LOG_SQRT_2_PI = 0.5 * math.log(2 * math.pi)
TINY = 1e-6  # keeps the logarithm in the squashing correction finite
CHECK_EVERY = 100  # slots from one check of the loss to the next, because reading it waits for the device


@dataclass(frozen=True)
class SacConfig:
    """Settings of the paper's agent; the defaults are Table III and section V."""

    slots: int = 10_000
    """Number of slots of training, eta; each makes one update once the buffer holds a batch."""
    hidden: tuple[int, ...] = (1024, 1024, 1024)
    """Number of neurons of each hidden layer, in every network."""
    batch: int = 512
    """Number of transitions in each update."""
    buffer: int = 10_000
    """Number of transitions that the replay buffer D keeps."""
    gamma: float = 0.99
    """Discount of eq. (25)."""
    alpha: float = 1e-5
    """Temperature of eq. (26)."""
    zeta: float = 1e-5
    """Target learning rate of eq. (27)."""
    lr: float = 3e-4
    """Adam learning rate of actor and critics; the paper does not print it."""
    entropy_in_target: bool = False
    """Subtract alpha log pi from the target, as SAC does and eq. (25) does not."""
    block: int = 500
    """Number of slots between two checkpoints."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of matrix products; auto takes bfloat16 where the device has instructions for it."""

    def __post_init__(self) -> None:
        for name in ("slots", "batch", "buffer", "block"):
            check_least(OptimizerError, f"paper.{name}", getattr(self, name), 1)
        if not self.hidden or min(self.hidden) < 1:
            raise OptimizerError(f"--paper.hidden: expected layers of at least 1 neuron; got {self.hidden}.")
        if not 0 <= self.gamma < 1:
            raise OptimizerError(f"--paper.gamma: expected a discount in [0, 1); got {self.gamma:g}.")
        if not 0 <= self.zeta <= 1:
            raise OptimizerError(f"--paper.zeta: expected a rate in [0, 1]; got {self.zeta:g}.")
        if not self.alpha >= 0:
            raise OptimizerError(f"--paper.alpha: expected a temperature of at least 0; got {self.alpha:g}.")
        if not self.lr > 0:
            raise OptimizerError(f"--paper.lr: expected a learning rate above 0; got {self.lr:g}.")


def layers(sizes: Sequence[int]) -> nn.Sequential:
    """Fully connected layers with ReLU between them."""
    parts: list[nn.Module] = []
    for i, (a, b) in enumerate(pairwise(sizes)):
        parts += [nn.Linear(a, b), nn.ReLU(inplace=True)] if i < len(sizes) - 2 else [nn.Linear(a, b)]
    return nn.Sequential(*parts)


class Actor(nn.Module):
    """The policy pi_phi: a Gaussian whose samples a tanh squashes into [-1, 1]."""

    def __init__(self, states: int, actions: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.body = layers([states, *hidden, 2 * actions])

    def forward(self, state: States) -> tuple[Actions, Actions]:
        """Mean and standard deviation of the Gaussian, before the tanh."""
        mean, log_std = self.body(state).float().chunk(2, dim=1)
        return mean, log_std.clamp(*LOG_STD).exp()

    def sample(self, state: States) -> tuple[Actions, Float[Tensor, " batch"]]:
        """An action and its log probability."""
        mean, std = self(state)
        noise = torch.randn_like(mean)
        raw = mean + std * noise
        action = torch.tanh(raw)
        gaussian = -0.5 * noise.square() - std.log() - LOG_SQRT_2_PI
        return action, (gaussian - torch.log(1 - action.square() + TINY)).sum(dim=1)


class Critic(nn.Module):
    """Q_theta(S, A): the expected return of an action in a state."""

    def __init__(self, states: int, actions: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.body = layers([states + actions, *hidden, 1])

    def forward(self, state: States, action: Actions) -> Float[Tensor, " batch"]:
        """The expected return."""
        return self.body(torch.cat([state, action], dim=1)).float().squeeze(1)


class Replay:
    """The replay buffer D: the last transitions, in a ring."""

    def __init__(self, size: int, states: int, actions: int) -> None:
        self.state = torch.zeros(size, states)
        self.action = torch.zeros(size, actions)
        self.reward = torch.zeros(size)
        self.following = torch.zeros(size, states)
        self.stored = 0

    def __len__(self) -> int:
        return min(self.stored, len(self.reward))

    def store(self, state: np.ndarray, action: np.ndarray, reward: float, following: np.ndarray) -> None:
        """Keep a transition in place of the oldest."""
        i = self.stored % len(self.reward)
        self.state[i], self.action[i] = torch.from_numpy(state), torch.from_numpy(action)
        self.reward[i], self.following[i] = reward, torch.from_numpy(following)
        self.stored += 1

    def sample(self, batch: int) -> tuple[States, Actions, Float[Tensor, " batch"], States]:
        """A batch drawn at random."""
        i = torch.randint(len(self), (batch,))
        return self.state[i], self.action[i], self.reward[i], self.following[i]

    def tensors(self) -> dict[str, Tensor]:
        """The stored transitions, for a checkpoint."""
        held = {"state": self.state, "action": self.action, "reward": self.reward, "following": self.following}
        return {name: tensor[: len(self)] for name, tensor in held.items()}

    def load(self, tensors: dict[str, Tensor], stored: int) -> None:
        """Put the transitions of a checkpoint back."""
        self.stored = stored
        for name, tensor in tensors.items():
            getattr(self, name)[: len(tensor)] = tensor


class SoftActorCritic:
    """Actor, two critics, two targets and their updates, eq. (23) to (27)."""

    def __init__(self, states: int, actions: int, config: SacConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.actor = Actor(states, actions, config.hidden).to(device)
        self.critics = nn.ModuleList(Critic(states, actions, config.hidden) for _ in range(2)).to(device)
        self.targets = nn.ModuleList(Critic(states, actions, config.hidden) for _ in range(2)).to(device)
        self.targets.load_state_dict(self.critics.state_dict())  # (23)
        self.targets.requires_grad_(False)
        self._target_weights: list[Tensor] = list(self.targets.parameters())
        self._critic_weights: list[Tensor] = list(self.critics.parameters())
        self.actor_adam = torch.optim.Adam(self.actor.parameters(), lr=config.lr, fused=True)
        self.critic_adam = torch.optim.Adam(self._critic_weights, lr=config.lr, fused=True)
        self.bfloat16 = config.precision == "bfloat16" or (config.precision == "auto" and has_fast_bfloat16(device))

    def _products(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bfloat16 else nullcontext()

    def update(
        self, state: States, action: Actions, reward: Float[Tensor, " batch"], following: States
    ) -> tuple[Tensor, Tensor]:
        """One update of critics, actor and targets from a batch of transitions; the two losses."""
        c = self.config
        with torch.no_grad(), self._products():
            next_action, log_pi = self.actor.sample(following)
            value = torch.minimum(*(q(following, next_action) for q in self.targets))
            if c.entropy_in_target:
                value = value - c.alpha * log_pi
            goal = reward + c.gamma * value  # (25)

        with self._products():
            critic_loss = sum((q(state, action) - goal).square().mean() for q in self.critics)  # (24)
        assert isinstance(critic_loss, Tensor)
        self.critic_adam.zero_grad(set_to_none=True)
        critic_loss.backward()  # type: ignore[no-untyped-call]  # torch's
        self.critic_adam.step()

        self.critics.requires_grad_(False)  # the actor's loss moves the actor alone
        with self._products():
            chosen, log_pi = self.actor.sample(state)
            worth = torch.minimum(*(q(state, chosen) for q in self.critics))
            actor_loss = (c.alpha * log_pi - worth).mean()  # (26)
        self.actor_adam.zero_grad(set_to_none=True)
        actor_loss.backward()  # type: ignore[no-untyped-call]  # torch's
        self.actor_adam.step()
        self.critics.requires_grad_(True)

        with torch.no_grad():
            torch._foreach_lerp_(self._target_weights, self._critic_weights, c.zeta)  # (27)
        return critic_loss.detach(), actor_loss.detach()

    def act(self, observation: np.ndarray, *, best: bool = False) -> np.ndarray:
        """An action for one observation or a batch: sampled, or the mean."""
        state = torch.from_numpy(np.atleast_2d(observation)).to(self.device)
        with torch.no_grad():
            action = torch.tanh(self.actor(state)[0]) if best else self.actor.sample(state)[0]
        return action.cpu().numpy().reshape(*observation.shape[:-1], -1)


class Loop:
    """Algorithm 1 on an environment whose actions are a Box: in each slot act, store the transition, and update.

    Args:
        environment: The environment. Actions in [-1, 1] are scaled to its Box.
        config: Settings of the agent.
        seed: Random seed of networks, exploration and environment.
        device: Device of the networks.
    """

    def __init__(
        self, environment: gym.Env[np.ndarray, Any], config: SacConfig, seed: int, device: torch.device
    ) -> None:
        self.environment, self.config, self.seed = environment, config, seed
        space = environment.action_space
        assert isinstance(space, gym.spaces.Box)
        assert environment.observation_space.shape is not None
        self._low, self._high = space.low, space.high
        torch.manual_seed(seed)
        states, actions = environment.observation_space.shape[0], space.shape[0]
        self.agent = SoftActorCritic(states, actions, config, device)
        self.replay = Replay(config.buffer, states, actions)
        self.done = 0
        self.observation: np.ndarray | None = None
        self.returns: list[float] = []
        self._return = 0.0

    def start(self, seed: int) -> None:
        """Begin an episode."""
        self.observation, _ = self.environment.reset(seed=seed)
        self._return = 0.0

    def step(self) -> tuple[float, dict[str, Any]]:
        """One slot of Algorithm 1; the reward and the environment's info."""
        if self.observation is None:
            self.start(self.seed)
        assert self.observation is not None
        state = self.observation.astype(np.float32)
        action = self.agent.act(state)  # lines 2 to 4
        scaled = self._low + (action + 1) / 2 * (self._high - self._low)
        following, gained, _, truncated, info = self.environment.step(scaled.astype(np.float32))  # 5 to 11
        reward = float(gained)
        if not np.isfinite(reward):
            raise OptimizerError(f"the environment returned a reward of {reward} in slot {self.done}.")
        self.replay.store(state, action, reward, following.astype(np.float32))  # 12
        if len(self.replay) >= self.config.batch:  # 13 to 18
            loss, _ = self.agent.update(*(x.to(self.agent.device) for x in self.replay.sample(self.config.batch)))
            if self.done % CHECK_EVERY == 0 and not torch.isfinite(loss):
                raise OptimizerError(f"the critics' loss is {float(loss)} in slot {self.done}, seed {self.seed}.")
        self.done += 1
        self._return += reward
        self.observation = following
        if truncated:
            self.returns.append(self._return)
            self.observation, _ = self.environment.reset()
            self._return = 0.0
        return reward, info
