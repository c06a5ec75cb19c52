"""Copies the Hydra configuration into the wheel; everything else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfiguration(build_py):
    """Put `conf/` inside the package `launch`, where `launch.paths` finds it."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            shutil.copytree("conf", Path(self.build_lib) / "launch" / "conf", dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithConfiguration})
