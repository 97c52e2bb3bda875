"""The network as a Gymnasium environment: `jopa/Offloading-v0` and `jopa/OffloadingBox-v0`.

In: a scenario. Out: an environment, single or batched, whose `step` carries out a slot. Start reading at `env`;
`stream` carries out decisions slot by slot, `spaces` says what actions are, `picture` draws a slot. May import
`optimizer.network`; importing this package registers the two ids.
"""

from optimizer.environment.env import OffloadingEnv, OffloadingVectorEnv

__all__ = ["OffloadingEnv", "OffloadingVectorEnv"]
