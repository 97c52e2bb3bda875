"""The command `python -m optimizer.trial`."""

from optimizer.trial.slots import main

if __name__ == "__main__":
    main()
