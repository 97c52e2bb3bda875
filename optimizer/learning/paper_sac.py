"""The paper's soft actor-critic, section IV and Algorithm 1, from top to bottom.

The core (`Actor`, `Critic`, `Replay`, `SoftActorCritic`) works on any environment whose actions are a Box; `PaperSac`
below it is JOPA: the environment `jopa/OffloadingBox-v0`, whose flat action is decoded into hybrid actions as in
section IV-A (sigmoid and rounding for offloading and models, softmax for shares), trained with Table III. Losses see
the actions before rounding. `docs/learning.md` says what it reaches and why; `jopa` is the project's own policy.

Fast where it can be, at equal results: the critics' weights take no gradient in the actor's loss, Adam is fused, the
target update is one call, and matrix products run in bfloat16 where the processor has instructions for it.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from optimizer.errors import OptimizerError

States = Float[Tensor, "batch states"]
Actions = Float[Tensor, "batch actions"]
LOG_STD = (-20.0, 2.0)


@dataclass(frozen=True)
class SacConfig:
    """Settings of the paper's agent; the defaults are Table III and section V."""

    slots: int = 10_000
    """Slots of training, eta; one update a slot once the buffer holds a batch."""
    hidden: tuple[int, ...] = (1024, 1024, 1024)
    """Neurons of the hidden layers of every network."""
    batch: int = 512
    """Transitions of an update."""
    buffer: int = 10_000
    """Transitions kept in the replay buffer D."""
    gamma: float = 0.99
    """Discount of eq. (25)."""
    alpha: float = 1e-5
    """Temperature of eq. (26)."""
    zeta: float = 1e-5
    """Target learning rate of eq. (27)."""
    lr: float = 3e-4
    """Adam's rate for actor and critics; the paper does not print it."""
    entropy_in_target: bool = False
    """Subtract alpha log pi from the target, as SAC does and eq. (25) does not."""
    block: int = 500
    """Slots between two checkpoints."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products; auto takes bfloat16 where the device has instructions for it."""

    def __post_init__(self) -> None:
        if min(self.slots, self.batch, self.buffer, self.block, *self.hidden) < 1 or not self.hidden:
            raise OptimizerError("slots, batch, buffer, block and hidden layers: expected at least 1.")
        if not (0 <= self.gamma < 1 and 0 <= self.zeta <= 1 and self.alpha >= 0 and self.lr > 0):
            raise OptimizerError("gamma, zeta, alpha, lr: out of range.")


def layers(sizes: Sequence[int]) -> nn.Sequential:
    """Fully connected layers with ReLU between them."""
    parts: list[nn.Module] = []
    for i, (a, b) in enumerate(pairwise(sizes)):
        parts += [nn.Linear(a, b), nn.ReLU(inplace=True)] if i < len(sizes) - 2 else [nn.Linear(a, b)]
    return nn.Sequential(*parts)


class Actor(nn.Module):
    """pi_phi: mean and log standard deviation of a Gaussian that a tanh puts into [-1, 1]."""

    def __init__(self, states: int, actions: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.body = layers([states, *hidden, 2 * actions])

    def forward(self, state: States) -> tuple[Actions, Actions]:
        """Mean and standard deviation before the tanh."""
        mean, log_std = self.body(state).float().chunk(2, dim=1)
        return mean, log_std.clamp(*LOG_STD).exp()

    def sample(self, state: States) -> tuple[Actions, Float[Tensor, " batch"]]:
        """An action and its log probability."""
        mean, std = self(state)
        noise = torch.randn_like(mean)
        raw = mean + std * noise
        action = torch.tanh(raw)
        gaussian = -0.5 * noise.square() - std.log() - 0.9189385332046727  # log sqrt(2 pi)
        return action, (gaussian - torch.log(1 - action.square() + 1e-6)).sum(dim=1)


class Critic(nn.Module):
    """Q_theta(S, A)."""

    def __init__(self, states: int, actions: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.body = layers([states + actions, *hidden, 1])

    def forward(self, state: States, action: Actions) -> Float[Tensor, " batch"]:
        """The expected return."""
        return self.body(torch.cat([state, action], dim=1)).float().squeeze(1)

    @torch.no_grad()
    def trace(self, state: States, action: Actions) -> tuple[Float[Tensor, " batch"], list[Tensor]]:
        """The expected return, and every hidden layer's output: what `slope` needs."""
        x, hidden = torch.cat([state, action], dim=1), []
        *inner, last = (m for m in self.body if isinstance(m, nn.Linear))
        for layer in inner:
            x = torch.relu_(layer(x))
            hidden.append(x)
        return last(x).float().squeeze(1), hidden

    @torch.no_grad()
    def slope(self, hidden: list[Tensor], rows: Int64[Tensor, " some"], actions: int) -> Float[Tensor, "some actions"]:
        """Of some rows of a batch: the derivative of the return by the action (the chain rule, last layer first)."""
        first, *inner, last = (m for m in self.body if isinstance(m, nn.Linear))
        found = last.weight * (hidden[-1][rows] > 0)
        for layer, output in zip(reversed(inner), reversed(hidden[:-1]), strict=True):
            found = (found @ layer.weight) * (output[rows] > 0)
        return (found @ first.weight[:, -actions:]).float()


class Replay:
    """D: the last transitions, in a ring."""

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
        """What is stored, for a checkpoint."""
        held = {"state": self.state, "action": self.action, "reward": self.reward, "following": self.following}
        return {name: tensor[: len(self)] for name, tensor in held.items()}

    def load(self, tensors: dict[str, Tensor], stored: int) -> None:
        """Go on from a checkpoint."""
        self.stored = stored
        for name, tensor in tensors.items():
            getattr(self, name)[: len(tensor)] = tensor


class SoftActorCritic:
    """Actor, two critics, two targets and their updates, eq. (23) to (27)."""

    def __init__(self, states: int, actions: int, config: SacConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.actor = Actor(states, actions, config.hidden).to(device)
        self._critics = [Critic(states, actions, config.hidden) for _ in range(2)]
        self.critics = nn.ModuleList(self._critics).to(device)
        self.targets = nn.ModuleList(Critic(states, actions, config.hidden) for _ in range(2)).to(device)
        self.targets.load_state_dict(self.critics.state_dict())  # (23)
        self.targets.requires_grad_(False)
        self._target_weights: list[Tensor] = list(self.targets.parameters())
        self._critic_weights: list[Tensor] = list(self.critics.parameters())
        self.actor_adam = torch.optim.Adam(self.actor.parameters(), lr=config.lr, fused=True)
        self.critic_adam = torch.optim.Adam(self._critic_weights, lr=config.lr, fused=True)
        self.bfloat16 = config.precision == "bfloat16" or (config.precision == "auto" and has_bfloat16(device))

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

        with self._products():
            chosen, log_pi = self.actor.sample(state)
            worth, slope = self._least(state, chosen.detach())
            actor_loss = (c.alpha * log_pi - worth).mean()  # (26)
            surrogate = (c.alpha * log_pi - (slope * chosen).sum(dim=1)).mean()  # with the same gradient
        self.actor_adam.zero_grad(set_to_none=True)
        surrogate.backward()  # type: ignore[no-untyped-call]  # torch's
        self.actor_adam.step()

        with torch.no_grad():
            torch._foreach_lerp_(self._target_weights, self._critic_weights, c.zeta)  # (27)
        return critic_loss.detach(), actor_loss.detach()

    def _least(self, state: States, action: Actions) -> tuple[Float[Tensor, " batch"], Actions]:
        """The lesser of both critics' values, and its derivative by the action.

        Autograd would run back through both critics for every row, though each row follows one of them.
        """
        (a, in_a), (b, in_b) = (q.trace(state, action) for q in self._critics)
        slope = torch.empty_like(action)
        for critic, hidden, follows in ((self._critics[0], in_a, a <= b), (self._critics[1], in_b, a > b)):
            rows = follows.nonzero().squeeze(1)
            slope[rows] = critic.slope(hidden, rows, action.shape[1])
        return torch.minimum(a, b), slope

    def act(self, observation: np.ndarray, *, best: bool = False) -> np.ndarray:
        """An action for one observation or a batch: sampled, or the mean."""
        state = torch.from_numpy(np.atleast_2d(observation)).to(self.device)
        with torch.no_grad():
            action = torch.tanh(self.actor(state)[0]) if best else self.actor.sample(state)[0]
        return action.cpu().numpy().reshape(*observation.shape[:-1], -1)


def has_bfloat16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 are fast here."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


class Loop:
    """Algorithm 1 on an environment with a Box action: act, store, update once a slot.

    Args:
        environment: Its actions are scaled from [-1, 1] to the Box.
        config: Settings.
        seed: Of networks, exploration and environment.
        device: Of the networks.
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
        """One slot of Algorithm 1; the reward and what the environment says."""
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
            if self.done % 100 == 0 and not torch.isfinite(loss):
                raise OptimizerError(f"the critics' loss is {float(loss)} in slot {self.done}, seed {self.seed}.")
        self.done += 1
        self._return += reward
        self.observation = following
        if truncated:
            self.returns.append(self._return)
            self.observation, _ = self.environment.reset()
            self._return = 0.0
        return reward, info
