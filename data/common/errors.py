"""What a user can mend, told so that they can."""


class UserError(Exception):
    """Something that cannot be used, told to the person who can mend it; commands print it and exit with 2.

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


class DataError(UserError):
    """A recording, folder or setting of `data` that cannot be used."""
