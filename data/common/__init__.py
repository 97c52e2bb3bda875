"""What every package needs and none owns: errors, whole-file writing, run folders, commands, options, statistics.

In: nothing of this project. Out: small helpers that `data`, `pruning`, `profiling` and `optimizer` share. Start reading
at `errors` (what a user can mend) and `files` (files written whole or not at all). This is the one part of `data` that
the other packages may import; it imports nothing of ours.
"""
