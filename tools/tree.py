# SPDX-License-Identifier: MIT
"""What the checkers share: the files of the tree, and how a result is told.

A checker prints one line per check, "ok - NAME" or "not ok - NAME", with a line "#   where: what"
for each violation, and exits with 1 where one failed. `--root DIR` checks another tree, so that
the checkers themselves can be tested on planted violations.
"""
import argparse
import os
import pathlib
import sys

SOURCE_FOLDERS = ("include", "src", "daemon", "cli", "bench", "fuzz", "tests", "examples")
SCRIPT_FOLDERS = ("scripts", "tools", "tests", "packaging", ".ci", "cmake")


class Checker:
    """Collects the violations of each check of one program."""

    def __init__(self, description, **options):
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--quiet", action="store_true", help="say only what failed")
        parser.add_argument("--root", type=pathlib.Path,
                            default=pathlib.Path(__file__).resolve().parent.parent)
        for name, default in options.items():
            parser.add_argument("--" + name, default=default)
        self.options = parser.parse_args()
        self.root = self.options.root.resolve()
        self.failed = False

    def report(self, name, violations):
        """Prints the result of one check."""
        if violations or not self.options.quiet:
            print(("not ok - " if violations else "ok - ") + name)
        for violation in violations:
            print("#   " + violation)
        self.failed = self.failed or bool(violations)

    def exit(self):
        sys.exit(1 if self.failed else 0)

    def name(self, path):
        """A path as people write it: from the root of the tree."""
        return str(path.relative_to(self.root))

    def files(self, folders, suffixes):
        """The files under these folders with one of these suffixes, sorted."""
        found = []
        for folder in folders:
            for path in (self.root / folder).rglob("*"):
                if path.suffix in suffixes and path.is_file():
                    found.append(path)
        return sorted(found)

    def everywhere(self, suffix):
        """All files of a suffix that belong to the project: not built, not hidden."""
        found = []
        for folder, below, names in os.walk(self.root):
            below[:] = [name for name in below if name != "build" and not name.startswith(".")]
            found += [pathlib.Path(folder, name) for name in names if name.endswith(suffix)]
        return sorted(found)

    def c_files(self):
        """The C files, and the C++ ones that hold other caches for bench/."""
        return self.files(SOURCE_FOLDERS, (".c", ".h", ".cc", ".hh"))

    def scripts(self):
        """Shell and Python programs, most of which have no suffix: the first line tells."""
        found = [path for path in self.files(SCRIPT_FOLDERS, ("", ".sh", ".py"))
                 if path.suffix or first_line(path).startswith("#!")]
        return [path for path in found if "__pycache__" not in path.parts]


def first_line(path):
    with path.open(errors="replace") as file:
        return file.readline()


def is_shell(path):
    return path.suffix == ".sh" or "sh" in first_line(path).split("/")[-1]


def lines(path):
    return path.read_text(errors="replace").splitlines()
