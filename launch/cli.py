"""Command lines of the entry points: arguments, progress lines, and user errors as one sentence."""

from __future__ import annotations

import argparse
import io
import logging
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
import yaml
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from degen.errors import BadInputError, UnwritableError, require
from degen.files import describe_read_error
from launch.config import CONF, in_launcher_job, parse_number, quote_numbers, require_known
from launch.system_errors import describe_system_error


def entrypoint(
    config_name: str, run: Callable[[DictConfig], None], needs_arguments: bool = False
) -> Callable[[], None]:
    """Return a `main` that composes `conf/<config_name>.yaml` with the command line and calls `run`.

    Bad input and Ctrl-C end with one sentence on standard error. `--help` prints the docstring of the module
    of `run`.

    Args:
        needs_arguments: without arguments, print the help and end with code 2.
    """

    def checked(config: DictConfig) -> None:
        require_known(config_name, config, HydraConfig.get().overrides.task)
        run(config)

    def job(config: DictConfig) -> None:
        configure_logging()
        if in_launcher_job():
            checked(config)  # the launcher waits for the exception
        else:
            # Hydra prints a line of its own for any exception, so none may reach Hydra.
            with exit_on_user_error():
                checked(config)

    def main() -> None:
        if {"--help", "-h"} & set(sys.argv[1:]) or (needs_arguments and not sys.argv[1:]):
            print((sys.modules[run.__module__].__doc__ or "").strip())
            sys.exit(0 if sys.argv[1:] else 2)
        # Without this, Hydra prints its errors itself and ends with code 1.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        with exit_on_user_error():
            config_dir = given_config_dir()
            if config_dir is not None:
                require_config_dir(config_dir)
            sys.argv[1:] = _options_first(quote_numbers(sys.argv[1:]))
            hydra.main(config_path=CONF, config_name=config_name, version_base="1.3")(job)()

    return main


def _options_first(arguments: list[str]) -> list[str]:
    """Move overrides behind the options: Hydra rejects overrides on both sides of an option."""
    overrides = get_args_parser().parse_known_intermixed_args(arguments)[0].overrides
    return [text for text in arguments if text not in overrides] + overrides


class Arguments:
    """The command line of an entry point that does not run as a Hydra job: overrides and its own options.

    Args:
        description: text of `--help`.
        overrides: help text for the overrides.
    """

    def __init__(self, description: str, overrides: str = "as for degen train; several values allowed"):
        text = argparse.RawDescriptionHelpFormatter
        self.parser = argparse.ArgumentParser(description=description, formatter_class=text)
        self.parser.add_argument("overrides", nargs="*", help=overrides)
        help_config_dir = "folder with your own configuration files"
        self.parser.add_argument("--config-dir", "-cd", metavar="FOLDER", help=help_config_dir)

    @contextmanager
    def parsed(self) -> Iterator[tuple[argparse.Namespace, list[str]]]:
        """Yield the options and the overrides, with Hydra initialized for `compose`."""
        configure_logging()
        options = self.parser.parse_intermixed_args()
        overrides = list(options.overrides)
        if options.config_dir is not None:
            folder = Path(options.config_dir).resolve()
            require_config_dir(options.config_dir)
            path = QuotedString(f"file://{folder}", Quote.single).with_quotes()
            overrides.append(f"hydra.searchpath=[number://,{path}]")
        with hydra.initialize_config_dir(CONF, version_base="1.3"):
            yield options, overrides


def require_config_dir(value: str) -> None:
    """Raise `BadInputError` unless `value` is a folder whose files Hydra finds under names of their own.

    Hydra would ignore a file that has the name of a file in `conf/`, and a file that does not end in .yaml.
    Files in other folders than those of `conf/` are not for Hydra: the folder may be that of a whole project.
    """
    folder = Path(value)
    require(folder.is_dir(), "--config-dir", value, "a folder")
    groups = [group.name for group in Path(CONF).iterdir() if group.is_dir()]
    for file in sorted(file for group in groups for file in folder.glob(f"{group}/**/*.y*ml")):
        relative = file.relative_to(folder)
        field = f"{relative} in --config-dir"
        require(file.suffix == ".yaml", field, str(file), "a file whose name ends in .yaml")
        allowed = "a name that degen does not use, because Hydra would take degen's file instead"
        require(not Path(CONF, relative).exists(), field, str(file), allowed)
        allowed = "a name that is not a number, because width and gamma take any number without a file"
        require(parse_number(str(relative)) is None, field, str(file), allowed)
        package = re.search(r"^# *@package +(metrics\..*?) *$", _read_text(file, field), re.MULTILINE)
        if package is not None:
            allowed = f"begun with the line # @package metrics.{file.stem}"
            require(package[1] == f"metrics.{file.stem}", field, package[1], allowed)


def _read_text(file: Path, field: str) -> str:
    """Return the text of a configuration file. Hydra reads UTF-8 only."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        message = f"{field} must be a file that can be read, got {describe_read_error(file, error)}."
        raise BadInputError(message) from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{field} must be text in UTF-8, got other bytes ({error}).") from error
    allowed = "text in UTF-8 without a byte order mark, which hides its first line"
    require(not text.startswith("\ufeff"), field, "one", allowed)
    return text


# Errors -----------------------------------------------------------------------------------------------------


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Print a user error as one sentence instead of a traceback, and end the process.

    The exit code is 2 for bad input, 1 if a file or memory is not available, and 130 for Ctrl-C.
    """
    _print_any_character()
    try:
        yield
    except (BadInputError, HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        print(f"error: {format_error(error)}", file=sys.stderr)
        sys.exit(2)
    except UnwritableError as error:
        advice = "files written earlier are intact; run the same command again to resume"
        print(f"error: {error.filename} cannot be written ({error.strerror}): {advice}.", file=sys.stderr)
        sys.exit(1)
    except (OSError, MemoryError, RuntimeError) as error:
        sentence = describe_system_error(error)
        if sentence is None:
            raise
        print(f"error: {sentence}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; run the same command again to resume", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def _print_any_character() -> None:
    """Print characters that the terminal cannot show as escapes, such as a label in another alphabet."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def format_error(error: Exception) -> str:
    """Return an error's message as one sentence. Hydra's messages have several lines of internals."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        options = error.options or sorted(file.stem for file in Path(CONF, group).glob("*.yaml"))
        own = "" if given_config_dir() else f", or in FOLDER/{group}/ of --config-dir FOLDER"
        return f"{group} must be one of {', '.join(options)}{own}, got {option!r}."
    if isinstance(error, OverrideParseException):
        allowed = "name=value, with text that holds = or spaces in quotes, such as 'overrides=[\"seeds=8\"]'"
        if "=~" in str(error.override):
            allowed = 'name=value, with $HOME in place of ~, such as runs="$HOME/runs"'
        return f"an override must be {allowed}, got {error.override!r}."
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    if mark is not None and "'\\t'" in str(error):
        return f"{mark.name} must be indented with spaces, got a tab in line {mark.line + 1}."
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException) and isinstance(cause.parent_node, DictConfig):
        # Hydra names the override. It may come from the grid of a file.
        override = re.search(r"use \+[^=\n]*=(.*)", str(error))
        fields = ", ".join(name for name in map(str, cause.parent_node) if name not in ("hydra", "_target_"))
        got = "" if override is None else f", got {override[1]}"
        return f"{cause.full_key} must be one of {fields or 'none'} (no such field){got}."
    unpackaged = re.match(r"In '(.*)': Could not override '.*@([^.']*)\.", str(error))
    if unpackaged is not None and unpackaged[1].startswith(f"{unpackaged[2]}/"):
        return f"{unpackaged[1]}.yaml must begin with the line # @package _global_."
    lines = [line.strip().rstrip(".") for line in str(error).splitlines()]
    internals = ("See ", "full_key", "object_")
    return "; ".join(line for line in lines if line and not line.startswith(internals)) + "."


def given_config_dir() -> str | None:
    """Return the `--config-dir` of this process."""
    folder: str | None = get_args_parser().parse_known_intermixed_args(sys.argv[1:])[0].config_dir
    return folder


def command_line(command: str, overrides: Sequence[str]) -> str:
    """Return a complete `degen` command to copy, with the `--config-dir` of this process."""
    config_dir = given_config_dir()
    option = [] if config_dir is None else ["--config-dir", config_dir]
    # `Arguments` adds this override for --config-dir, which the command already contains.
    given = [text for text in overrides if not text.startswith("hydra.searchpath=")]
    return shlex.join(["degen", command, *option, *given])


# Progress lines ---------------------------------------------------------------------------------------------

_LOGGERS = ("__main__", "analysis", "degen", "launch")
"""`__main__` is the name of an entry point's module while it runs."""


class ProgressHandler(logging.Handler):
    """Writes progress lines to standard output as they are, and warnings to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            print(f"warning: {self.format(record)}", file=sys.stderr, flush=True)
        else:
            print(self.format(record), flush=True)


def configure_logging() -> None:
    """Show the progress lines of this project's modules. A second call changes nothing."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        if not any(isinstance(handler, ProgressHandler) for handler in logger.handlers):
            logger.addHandler(ProgressHandler())
