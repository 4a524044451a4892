"""The commands: ``python -m mindraw COMMAND``."""

import importlib
import sys

from .commands import Parser, guarded

#: Each command is a module with HELP, add_arguments(parser) and run(arguments) -> exit code.
COMMANDS = {"gradcheck": "mindraw.gradcheck.command"}


def main(argv=None):
    """Run one command.

    Parameters
    ----------
    argv : list of str, optional
        The words after ``python -m mindraw``; those of this process by default.

    Returns
    -------
    int
        The command's exit code; 2 where its options cannot be served, after one sentence
        on stderr.
    """
    return guarded(_main, argv)


def _main(argv):
    parser = Parser(prog="python -m mindraw")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module_name in COMMANDS.items():
        module = importlib.import_module(module_name)
        subparser = subparsers.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    arguments = parser.parse_args(argv)
    return arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
