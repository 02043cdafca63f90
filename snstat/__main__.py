"""`python -m snstat` is the same program as `snstat`."""

from snstat.cli import main

if __name__ == "__main__":
    main()
