"""The profile: what `profile.json` holds, how it is validated, and the laws fitted to it.

In: a JSON file. Out: a `Profile` that answers latency, accuracy and capacity. Start reading at `profile.Profile`, then
`entries` (its parts), `laws` (latency against FLOPs and batch) and `accuracy` (the cubic of eq. (1)). May import
`data.common` and `profiling.errors`; needs neither torch nor a runtime.
"""
