"""``python -m lgc``: the ``lgc`` command, where its program is not on the path."""

from lgc.cli.main import main

if __name__ == "__main__":  # processes that are started from this one import it too
    main()
