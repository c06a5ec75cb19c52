"""What entry points share: configurations, number groups, and bad input as one sentence with exit code 2."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString, Transformer, ValueType
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from degen.errors import BadInputError, UnwritableError, require
from launch import paths

CONF = str(paths.CONF)
NUMBER_GROUPS = ("width", "gamma")


class NumberSource(ConfigSource):
    """Options of the groups `width` and `gamma` that have no file: `width=100` is {width: 100} at the top."""

    @staticmethod
    def scheme() -> str:
        return "number"

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return config_path.strip("/") in ("", *NUMBER_GROUPS)

    def is_config(self, config_path: str) -> bool:
        return self._number(config_path) is not None

    def load_config(self, config_path: str) -> ConfigResult:
        number = self._number(config_path)
        if number is None:
            raise ConfigLoadError(f"no number: {config_path}")
        group = config_path.strip("/").partition("/")[0]
        config = OmegaConf.create({group: number})
        return ConfigResult(self.provider, self.full_path(), config, header={"package": "_global_"})

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        return ["any number"] if config_path.strip("/") in NUMBER_GROUPS else []

    def _number(self, config_path: str) -> int | float | None:
        group, _, text = config_path.strip("/").removesuffix(".yaml").partition("/")
        if group not in NUMBER_GROUPS:
            return None
        try:
            return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
        except ValueError:
            return None


Plugins.instance().register(NumberSource)


def quote_numbers(overrides: list[str]) -> list[str]:
    """Write `gamma=0.5,1` as `gamma='0.5','1'`: Hydra accepts text only as the name of a group's option.

    Sweeps of numbers such as `width=range(32,129,32)` are written out in the same way.
    """
    groups = {folder.name for folder in Path(CONF).iterdir()}
    return [_quote_numbers(text) if text.partition("=")[0] in groups else text for text in overrides]


def _quote_numbers(override: str) -> str:
    (parsed,) = OverridesParser.create().parse_overrides([override])
    if parsed.value_type in (ValueType.GLOB_CHOICE_SWEEP, ValueType.INTERVAL_SWEEP):
        return override
    values: list[Any] = list(parsed.sweep_iterator()) if parsed.is_sweep_override() else [parsed.value()]
    if not all(value is None or isinstance(value, bool | int | float) for value in values):
        return override
    group = override.partition("=")[0]
    return f"{group}=" + ",".join(f"'{Transformer.str(value)}'" for value in values)


def entrypoint(
    config_name: str, task: Callable[[DictConfig], None], needs_arguments: bool = False
) -> Callable[[], None]:
    """Return a `main` that composes `conf/<config_name>.yaml` with the command line and runs `task`.

    Bad input and Ctrl-C end with one sentence on standard error. `--help` prints the docstring of the module
    of `task`.

    Args:
        needs_arguments: without arguments, print the help and end with code 2.
    """

    def checked(config: DictConfig) -> None:
        _require_known(config_name, config, HydraConfig.get().overrides.task)
        task(config)

    def job(config: DictConfig) -> None:
        if "SUBMITIT_EXECUTOR" in os.environ:
            checked(config)  # what it raises goes to the launcher, which waits for it
        else:
            # Hydra prints a line of its own for what leaves the task: nothing may.
            with one_sentence_ends():
                checked(config)

    def main() -> None:
        if {"--help", "-h"} & set(sys.argv[1:]) or (needs_arguments and not sys.argv[1:]):
            print((sys.modules[task.__module__].__doc__ or "").strip())
            sys.exit(0 if sys.argv[1:] else 2)
        # Hydra would print its errors itself and end with code 1; this makes it raise them.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        with one_sentence_ends():
            config_dir = get_args_parser().parse_known_intermixed_args(sys.argv[1:])[0].config_dir
            if config_dir is not None:
                require_config_dir(config_dir)
            sys.argv[1:] = _options_first(quote_numbers(sys.argv[1:]))
            hydra.main(config_path=CONF, config_name=config_name, version_base="1.3")(job)()

    return main


def _options_first(arguments: list[str]) -> list[str]:
    """Hydra takes overrides before an option or after it, not on both sides; this takes all."""
    overrides = get_args_parser().parse_known_intermixed_args(arguments)[0].overrides
    return [text for text in arguments if text not in overrides] + overrides


@contextmanager
def one_sentence_ends() -> Iterator[None]:
    """End the process with one sentence, no traceback: bad input (code 2), full disk (1), Ctrl-C (130)."""
    try:
        yield
    except (BadInputError, HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        print(f"error: {_sentence(error)}", file=sys.stderr)
        sys.exit(2)
    except UnwritableError as error:
        stored = "what was stored before is whole, and the same command goes on"
        print(f"error: {error.filename} cannot be written ({error.strerror}): {stored}.", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def _sentence(error: Exception) -> str:
    """An error's message as one sentence; Hydra's spread over several lines and name what is not ours."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        options = error.options or sorted(file.stem for file in Path(CONF, group).glob("*.yaml"))
        return f"{group} must be one of {', '.join(options)}, got {option!r}."
    if isinstance(error, OverrideParseException):
        allowed = "name=value, with text that holds = or spaces in quotes, such as 'overrides=[\"seeds=8\"]'"
        return f"an override must be {allowed}, got {error.override!r}."
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    if mark is not None and "'\\t'" in str(error):
        return f"{mark.name} must be indented with spaces, got a tab in line {mark.line + 1}."
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException) and isinstance(cause.parent_node, DictConfig):
        given = [text.partition("=")[2] for text in sys.argv[1:] if text.startswith(f"{cause.full_key}=")]
        fields = ", ".join(name for name in map(str, cause.parent_node) if name not in ("hydra", "_target_"))
        return f"{cause.full_key} must be one of {fields or 'none'} (no such field), got {' '.join(given)}."
    lines = [line.strip().rstrip(".") for line in str(error).splitlines()]
    return (
        "; ".join(line for line in lines if line and not line.startswith(("See ", "full_key", "object_")))
        + "."
    )


def command_line(module: str, overrides: Sequence[str]) -> str:
    """Return a complete command to copy, with the `--config-dir` of this process."""
    config_dir = get_args_parser().parse_known_intermixed_args(sys.argv[1:])[0].config_dir
    option = [] if config_dir is None else ["--config-dir", config_dir]
    # The search path is how `Arguments` passes on --config-dir.
    given = [text for text in overrides if not text.startswith("hydra.searchpath=")]
    return shlex.join(["python", "-m", module, *option, *given])


def require_config_dir(value: str) -> None:
    """Raise `BadInputError` unless `value` is a folder whose files have names of their own.

    A file with the name of one of degen's would be ignored.
    """
    folder = Path(value)
    require(folder.is_dir(), "--config-dir", value, "a folder")
    for file in sorted(folder.rglob("*.yaml")):
        relative = file.relative_to(folder)
        allowed = "a name that degen does not use, because Hydra would take degen's file instead"
        require(not Path(CONF, relative).exists(), f"{relative} in --config-dir", str(file), allowed)


def require_folder(field: str, value: Any) -> None:
    """Raise `BadInputError` unless `value` is the path of a folder, or of one that can be made."""
    require(isinstance(value, str) and value != "", field, value, "the path of a folder")
    allowed = "a path without ~ (write $HOME, or leave out the quotes, and the shell expands it)"
    require(not value.startswith("~"), field, value, allowed)
    existing = next(path for path in (Path(value), *Path(value).absolute().parents) if os.path.lexists(path))
    require(existing.is_dir(), field, value, f"the path of a folder ({existing} is a file)")


def runs_folder(settings: dict[str, Any]) -> Path:
    """Return the folder of run folders that settings name.

    Raises:
        BadInputError: it cannot be one.
    """
    require_folder("runs", settings["runs"])
    return Path(settings["runs"])


def compose(config_name: str, overrides: list[str]) -> dict[str, Any]:
    """A resolved configuration, composed inside an entry point or on its own."""
    overrides = quote_numbers(overrides)
    if GlobalHydra.instance().is_initialized():
        config = hydra.compose(config_name, overrides)
        _require_known(config_name, config, overrides)
    else:
        with hydra.initialize_config_dir(CONF, version_base="1.3"):
            return compose(config_name, overrides)
    return resolved(config)


def _require_known(config_name: str, config: DictConfig, overrides: Sequence[str]) -> None:
    """Refuse `+name=value` where nothing reads a field of that name: Hydra advises it for any misspelt one.

    Deeper fields are refused by what is built of them.
    """
    added = {re.split(r"[.@/=]", text.lstrip("+"))[0]: text for text in overrides if text.startswith("+")}
    if not added.keys() & set(config):
        return
    known = hydra.compose(config_name, [text for text in overrides if not text.startswith("+")])
    for name in added.keys() & set(config):
        value = added[name].partition("=")[2]
        require(name in known, name, value, f"one of {', '.join(map(str, known))} (no such field)")


class Arguments:
    """The command line of an entry point that is no job of Hydra's: overrides, and options of its own.

    Args:
        description: what it does.
        overrides: which overrides it takes.
    """

    def __init__(self, description: str, overrides: str = "as of launch.train, with several values too"):
        text = argparse.RawDescriptionHelpFormatter
        self.parser = argparse.ArgumentParser(description=description, formatter_class=text)
        self.parser.add_argument("overrides", nargs="*", help=overrides)
        self.parser.add_argument("--config-dir", "-cd", metavar="FOLDER", help="configurations of your own")

    @contextmanager
    def parsed(self) -> Iterator[tuple[argparse.Namespace, list[str]]]:
        """Yield the options and the overrides, with which `compose` may be called."""
        given = self.parser.parse_intermixed_args()
        overrides = list(given.overrides)
        if given.config_dir is not None:
            folder = Path(given.config_dir).resolve()
            require_config_dir(given.config_dir)
            path = QuotedString(f"file://{folder}", Quote.single).with_quotes()
            overrides.append(f"hydra.searchpath=[number://,{path}]")
        with hydra.initialize_config_dir(CONF, version_base="1.3"):
            yield given, overrides


def compose_launcher(config_name: str, overrides: list[str]) -> tuple[str, dict[str, Any]]:
    """The name of the launcher chosen by overrides, which may have several values, and its settings.

    Raises:
        BadInputError: it lacks a value that it says it needs.
    """
    return launcher_of(hydra.compose(config_name, grid(overrides)[0], return_hydra_config=True))


def launcher_of(config: DictConfig) -> tuple[str, dict[str, Any]]:
    """The same of a configuration that has Hydra's own part."""
    name, launcher = config.hydra.runtime.choices["hydra/launcher"], config.hydra.launcher
    for field in OmegaConf.missing_keys(launcher):
        raise BadInputError(f"{field} is missing: the launcher {name} needs a value for it.")
    # These name files and jobs of Hydra's own; whoever submits names them.
    plain = {field: launcher[field] for field in launcher if field not in ("name", "submitit_folder")}
    return name, resolved(OmegaConf.create(plain))


def resolved(config: DictConfig) -> dict[str, Any]:
    """A configuration as plain dictionaries and lists, interpolations resolved."""
    return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]


def grid(overrides: list[str]) -> list[list[str]]:
    """Every combination of overrides with several values: [a=1,2, b=3] to [[a=1, b=3], [a=2, b=3]]."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    loader: ConfigLoader | None = None
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(quote_numbers(overrides))
    return [list(combination) for combination in BasicSweeper.split_arguments(parsed, None)[0]]
