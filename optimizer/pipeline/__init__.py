"""From recordings to one page: every stage in order, resumable, and the report.

In: recordings or the built-in simulation. Out: `report.html` and everything that it shows. Start reading at `stages`
(what each stage runs, reads and leaves), then `runner` and `report`. It runs the other commands as processes; it may
import all of `optimizer`, and the settings of the steps from `data`, `pruning` and `profiling`.
"""
