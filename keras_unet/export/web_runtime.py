"""Puts LiteRT.js, which runs TFLite models in a browser, beside an exported page."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

PACKAGES = {
    "core": (
        "2.5.3",
        "3e51a66cc3aaf568ad5fb14ed2385b749c3d1ad85ab6ccae0905e34edff0259a"
        "3414b6b0e3cab8b73f08c2a82a08892f8981abf4e1432f59029cde27cd6a3225",
    ),
    "wasm-utils": (
        "2.5.3",
        "e1f262c3ab4142722cfb48c7fce435ea760e89297cffecd99e7e61dae97c6932"
        "878b4e6c56a656e7cd139a4efca42da44f7f40f4e60155d15ac2d799fec23591",
    ),
}
"""Tested versions of `@litertjs/NAME`, with the SHA-512 of what npm packs."""


def install_runtime(folder: Path, source: str | os.PathLike | None = None) -> None:
    """Writes `litert.js`, `wasm_utils.js` and the folder `wasm`, so that no bundler is needed.

    Args:
        folder: A folder that does not exist yet.
        source: Folder that holds the packages `core` and `wasm-utils`, such as
            `node_modules/@litertjs`. Defaults to None: `npm` fetches them.

    Raises:
        RuntimeError: If `npm` is missing or fails, or sends something else than was tested.
        ValueError: If `source` does not hold the packages.
    """
    with tempfile.TemporaryDirectory() as scratch:
        packages = Path(scratch) if source is None else Path(source)
        if source is None:
            _fetch(packages)
        core, utils = packages / "core", packages / "wasm-utils"
        main, helper = core / "dist" / "index.js", utils / "dist" / "index.js"
        if not (main.is_file() and helper.is_file() and (core / "wasm").is_dir()):
            raise ValueError(
                "runtime must be a folder with the npm packages core and wasm-utils of "
                f"@litertjs, such as node_modules/@litertjs. Received: runtime={packages}"
            )
        shutil.copytree(core / "wasm", folder / "wasm", copy_function=shutil.copyfile)
        code = main.read_text(encoding="utf-8")
        code = code.replace('"@litertjs/wasm-utils"', '"./wasm_utils.js"')
        (folder / "litert.js").write_text(code, encoding="utf-8")
        shutil.copyfile(helper, folder / "wasm_utils.js")


def _fetch(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(
            "npm is needed once to fetch LiteRT.js; install Node.js, or pass runtime=FOLDER with "
            "the packages of @litertjs"
        )
    for name, (version, expected) in PACKAGES.items():
        package = f"@litertjs/{name}@{version}"
        answer = subprocess.run(
            [npm, "pack", "--silent", package], cwd=folder, capture_output=True, text=True
        )
        if answer.returncode != 0:
            raise RuntimeError(f"npm could not fetch {package}: {answer.stderr.strip()}")
        archive = folder / answer.stdout.split()[-1]
        found = hashlib.sha512(archive.read_bytes()).hexdigest()
        if found != expected:
            raise RuntimeError(f"{package} is not the tested one: its SHA-512 is {found}")
        with tarfile.open(archive) as packed:
            packed.extractall(folder / name, filter="data")
        (folder / name / "package").rename(folder / f"{name}.unpacked")
        (folder / name).rmdir()
        (folder / f"{name}.unpacked").rename(folder / name)
