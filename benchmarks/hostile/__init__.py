"""Damaged and hostile files by the thousand: each is refused with the package's own error, or is sound and is used.

`corpus` makes one sound file of each format (a small pipeline does most of it), `mutate` damages one, `uses` reads it
and, where it is accepted, does with it what a user would do, `crew` runs that in processes whose memory and time are
measured. `python -m benchmarks.hostile` runs all of it.
"""
