"""``cardlink-db``: the layer from the command line."""

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run ``cardlink-db``: an error is one or two lines on stderr, never a traceback.

    Args:
        arguments: what follows the command's name; without it, that of the process.
    """
    try:
        # Half a second of imports, and Ctrl-C may come in any of them.
        from cardlink_sql.cli.signals import heard

        with heard():
            from cardlink_sql.cli.commands import run

            run(arguments)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
