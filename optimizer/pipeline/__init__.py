"""From recordings to one page: every stage in order, resumable, and the report.

In: recordings or the built-in simulation. Out: `report.html` and everything that it shows. Start reading at `runner`
and `report`. It runs the other commands as processes and may import all of `optimizer`.
"""
