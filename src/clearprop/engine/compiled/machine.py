"""Machine code from LLVM text, for this processor, stored on disk between processes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress

import llvmlite
import llvmlite.binding as llvm

from clearprop.engine.compiled.builder import KERNEL
from clearprop.engine.compiled.code_store import folder, keep_latest, read, write
from clearprop.engine.compiled.ffi import register
from clearprop.engine.compiled.numba_internals import PLAIN, compiler_lock, processor

#: Most kernels on disk; of more, those that were used last stay.
FILES = 2000


class Machine:
    """Compiles each function once per process, and owns the code as long as the process lives."""

    def __init__(self) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.addresses: dict[str, int] = {}
        target, (cpu, features) = llvm.Target.from_default_triple(), processor()
        make = {"cpu": cpu, "features": features, "opt": 2, "jit": True}
        self.target_machine = target.create_target_machine(**make)
        self.passes = llvm.create_pass_builder(self.target_machine, llvm.create_pipeline_tuning_options())
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target.create_target_machine(**make))
        version = ".".join(map(str, llvm.llvm_version_info))
        self.host = f"{target.triple} {cpu} {features} {version} {llvmlite.__version__}"

    def module(self, text: str) -> llvm.ModuleRef:
        """The module of a text, with variables turned into registers; its instructions need no other optimisation."""
        module = llvm.parse_assembly(text)
        passes = llvm.create_new_module_pass_manager()
        passes.add_sroa_pass()
        passes.run(module, self.passes)
        return module

    def address(self, text: str) -> int:
        """The address of the function in a text."""
        if text in self.addresses:
            return self.addresses[text]
        with compiler_lock:
            if text not in self.addresses:
                digest = hashlib.sha256(f"{self.host}\n{text}".encode()).hexdigest()
                name = f"clearprop_{digest[:32]}"
                self.engine.add_object_file(llvm.ObjectFileRef.from_data(self._code(text, digest, name)))
                self.engine.finalize_object()
                self.addresses[text] = self.engine.get_function_address(name)
            return self.addresses[text]

    def _code(self, text: str, digest: str, name: str) -> bytes:
        """Object code from disk, or compiled now and stored if the folder can be written."""
        code = _read(f"{digest}.o")
        if code is None:
            code = self.target_machine.emit_object(self.module(text.replace(f"@{KERNEL}(", f"@{name}(")))
            _write(f"{digest}.o", code)
        return code


def _read(name: str) -> bytes | None:
    """The stored code of that name; None if there is none."""
    try:
        return read(folder() / name)
    except OSError:
        return None


def _write(name: str, code: bytes) -> None:
    """Store code under a name.

    If the folder cannot be written, each process compiles for itself, in about 10 ms per kernel.
    """
    with suppress(OSError):
        write(folder() / name, code)
        kernels = list(folder().glob("*.o"))
        if len(kernels) > FILES:
            keep_latest(kernels, FILES * 3 // 4)


_machine: Machine | None = None


def machine() -> Machine:
    """The only one of this process: of two, one would be freed, and the code that it owns with it."""
    global _machine
    if _machine is None:
        with compiler_lock:
            if _machine is None:
                _machine = Machine()
    return _machine


def compile_function(text: str) -> int:
    """The address of the compiled function of an LLVM text."""
    return machine().address(text)


def assembly(text: str) -> str:
    """The instructions that the processor will run."""
    return machine().target_machine.emit_assembly(machine().module(text))


def kernel(plain: Callable[..., None], text: Callable[[], str]) -> int:
    """The address of a kernel: that of its LLVM text, or of the plain function while the compiler is switched off."""
    return register(plain) if PLAIN else compile_function(text())
