"""`python -m magic_eraser`."""

from magic_eraser.cli.main import main

if __name__ == "__main__":
    main()
