"""The command `python -m optimizer.evaluate`: trained policies beside the optimum and the schemes.

The name `optimizer.evaluate` belongs to the function that evaluates decisions, so this file is the command and nothing
else; what can be imported is in `optimizer.evaluation.compare`.
"""

from optimizer.evaluation.compare import main

if __name__ == "optimizer.evaluate":
    raise ImportError(
        "optimizer.evaluate is a function (`from optimizer import evaluate`) and a command (`python -m "
        "optimizer.evaluate`), not a module to import. Its code is in optimizer.evaluation.compare."
    )

if __name__ == "__main__":
    main()
