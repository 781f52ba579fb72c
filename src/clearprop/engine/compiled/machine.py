"""Machine code from LLVM text, for the processor at hand."""

from __future__ import annotations

import threading
from functools import cache

import llvmlite.binding as llvm

_LOCK = threading.Lock()
_ADDRESSES: dict[str, int] = {}
_ENGINES: list[llvm.ExecutionEngine] = []  # own the code, and live as long as the process


@cache
def _target() -> tuple[llvm.Target, str, str]:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    return target, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def _target_machine() -> llvm.TargetMachine:
    target, cpu, features = _target()
    return target.create_target_machine(cpu=cpu, features=features, opt=2, jit=True)


def optimized(text: str) -> llvm.ModuleRef:
    """The module of an LLVM text after LLVM's optimization."""
    machine = _target_machine()
    module = llvm.parse_assembly(text)
    module.triple = llvm.get_process_triple()
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()  # the rest of the text is as it should be
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))
    return module


def assembly(text: str) -> str:
    """The instructions that the processor will run."""
    return _target_machine().emit_assembly(optimized(text))


def compile_function(text: str, name: str) -> int:
    """The address of the compiled function `name` of an LLVM module; the same text is compiled once per process."""
    with _LOCK:
        if text not in _ADDRESSES:
            engine = llvm.create_mcjit_compiler(optimized(text), _target_machine())
            engine.finalize_object()
            _ENGINES.append(engine)
            _ADDRESSES[text] = engine.get_function_address(name)
        return _ADDRESSES[text]
