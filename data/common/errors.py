"""The error that every package raises for a mistake that its user can correct."""


class UserError(Exception):
    """A mistake that the user can correct. Commands print it without a traceback and exit with status 2.

    Args:
        problem: What was got and what was expected, with the file or field.
        remedy: What to do about it, in one line.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}\n  {self.remedy}" if self.remedy else self.problem
