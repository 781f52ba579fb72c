"""Machine code from LLVM text, for the processor at hand, kept on disk from one process to the next."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
from numba.core import config

from clearprop.engine.compiled.emission import KERNEL

#: Most kernels that are kept on disk; of more, those that were used last.
FILES = 2000
#: Seconds after which it counts that a file is used again.
DAY = 86_400.0


class Machine:
    """Compiles functions, each once per process, and owns their code as long as the process lives."""

    def __init__(self) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.lock = threading.Lock()
        self.addresses: dict[str, int] = {}
        features = llvm.get_host_cpu_features().flatten()
        target = llvm.Target.from_default_triple()
        make = {"cpu": llvm.get_host_cpu_name(), "features": features, "opt": 2, "jit": True}
        self.target_machine = target.create_target_machine(**make)
        self.passes = llvm.create_pass_builder(self.target_machine, llvm.create_pipeline_tuning_options())
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target.create_target_machine(**make))
        version = ".".join(map(str, llvm.llvm_version_info))
        self.host = f"{target.triple} {make['cpu']} {features} {version} {llvmlite.__version__}"

    def module(self, text: str) -> llvm.ModuleRef:
        """The module of a text whose memory slots are turned into registers; the rest of it is as it should be."""
        module = llvm.parse_assembly(text)
        passes = llvm.create_new_module_pass_manager()
        passes.add_sroa_pass()
        passes.run(module, self.passes)
        return module

    def address(self, text: str) -> int:
        """The address of the function in a text."""
        with self.lock:
            if text not in self.addresses:
                digest = hashlib.sha256(f"{self.host}\n{text}".encode()).hexdigest()
                name = f"clearprop_{digest[:32]}"
                self.engine.add_object_file(llvm.ObjectFileRef.from_data(self._code(text, digest, name)))
                self.engine.finalize_object()
                self.addresses[text] = self.engine.get_function_address(name)
            return self.addresses[text]

    def _code(self, text: str, digest: str, name: str) -> bytes:
        """Object code from disk, or compiled now and left there where the place can be written."""
        path = folder() / f"{digest}.o"
        code = _read(path)
        if code is None:
            code = self.target_machine.emit_object(self.module(text.replace(f"@{KERNEL}(", f"@{name}(")))
            _write(path, code)
        return code


def _read(path: Path) -> bytes | None:
    """What was kept in a file, unless it is absent or damaged."""
    try:
        kept = path.read_bytes()
    except OSError:
        return None
    note_use(path)
    digest, code = kept[:32], kept[32:]
    return code if hashlib.sha256(code).digest() == digest else None


def _write(path: Path, code: bytes) -> None:
    """Keep code in a file, at once, so that another process finds all of it or nothing.

    Where the place cannot be written, each process compiles for itself: the same code, some 10 ms per kernel later.
    """
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            try:
                file.write(hashlib.sha256(code).digest() + code)
                file.close()
                os.replace(file.name, path)
            except OSError:
                os.unlink(file.name)
                raise
        kernels = list(path.parent.glob("*.o"))
        if len(kernels) > FILES:
            keep_latest(kernels, FILES * 3 // 4)


def note_use(path: Path) -> None:
    """Mark a file or folder as used today; where that is not allowed, nothing is removed either."""
    with suppress(OSError):
        if time.time() - path.stat().st_mtime > DAY:
            os.utime(path)


def keep_latest(paths: Iterable[Path], most: int) -> None:
    """Remove files and folders but for the `most` that were used last.

    A process that is about to read one compiles it anew; one that another process removes first is gone as well.
    """
    found = []
    for path in paths:
        with suppress(OSError):
            found.append((path.stat().st_mtime, path))
    for _, path in sorted(found, reverse=True)[most:]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


#: Held while the machine is made: of two made at once, one would go, and the code that it owns with it.
_making = threading.Lock()


@cache
def _the_one() -> Machine:
    return Machine()


def machine() -> Machine:
    """The one of this process."""
    with _making:
        return _the_one()


def folder() -> Path:
    """Where machine code is kept: in NUMBA_CACHE_DIR where it is set, else in the user's cache."""
    numba = config.CACHE_DIR  # pyright: ignore[reportAttributeAccessIssue]
    base = numba or os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return Path(base) / "clearprop" if base else Path.home() / ".cache" / "clearprop"


def compile_function(text: str) -> int:
    """The address of the compiled function of an LLVM text."""
    return machine().address(text)


def assembly(text: str) -> str:
    """The instructions that the processor will run."""
    return machine().target_machine.emit_assembly(machine().module(text))
