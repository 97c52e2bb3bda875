"""The one exception of this package."""


class PruningError(Exception):
    """A rate, bundle or run folder that cannot be used, told to the person who can mend it.

    Args:
        problem: What was got and what was expected, with the layer, file or field.
        remedy: What to do about it, in one line.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}\n  {self.remedy}" if self.remedy else self.problem
