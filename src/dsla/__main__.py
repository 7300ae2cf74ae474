"""`python -m dsla` is the `dsla` command."""

from dsla.cli import main

if __name__ == "__main__":
    main()
