"""The command `python -m optimizer.pipeline`."""

from optimizer.pipeline.runner import main

if __name__ == "__main__":
    main()
