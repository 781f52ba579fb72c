"""Access to the memory from compiled code, through a table of the addresses of its records and arrays."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from ctypes import addressof, c_char
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.extending import (
    infer_getattr,
    lower_builtin,
    lower_getattr_generic,
    models,
    register_model,
    type_callable,
)

from clearprop.engine.compiled.ffi import compiled_as
from clearprop.engine.compiled.numba_internals import PLAIN, AttributeTemplate
from clearprop.engine.compiled.records import Memory, Numbers, Record, dtype_of


def table_of(memory: Memory) -> Any:
    """What compiled code takes: the addresses of all arrays (plain Python takes the memory itself)."""
    if PLAIN:
        return memory
    return np.array([0 if array is None else address_of(array) for array in memory], np.int64)


#: Like memory of any size.
_NoBytes = c_char * 0


def address_of(array: Any) -> int:
    """Address of the first element of an array, or of a record."""
    if isinstance(array, Record):
        array = np.asarray(array)
    elif array.flags.writeable and array.dtype.names is None:  # the same address, five times as fast
        return addressof(_NoBytes.from_buffer(array))
    return array.ctypes.data


def _pointer(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return context.make_array(signature.args[0])(context, builder, args[0]).data


@compiled_as(_pointer, lambda array: types.CPointer(array.dtype)(array))
def pointer(array: Any) -> Any:
    """Pointer to the first element of an array."""
    return array


class TableType(types.Type):
    """A pointer to records in compiled code; an element is a record, which compiled code holds by its address."""

    def __init__(self, record: types.Record) -> None:
        self.record = record
        super().__init__(name=f"clearprop.Table({record})")


@register_model(TableType)
class _TableModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, manager.lookup(kind.record).get_value_type())


@type_callable(operator.getitem)
def _type_of_record(context: Any) -> Any:
    return lambda table, index: table.record if isinstance(table, TableType) else None


@lower_builtin(operator.getitem, TableType, types.Integer)
def _record_at(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.gep(args[0], [args[1]])


class MemoryType(types.Type):
    """The memory in compiled code: a pointer to the table of addresses, which are loaded where they are used.

    Functions hand on one pointer instead of one for each array, which halves the time of compilation.
    """

    def __init__(self, real: Any) -> None:
        self.real = real
        super().__init__(name=f"clearprop.Memory({real})")

    def field(self, name: str) -> Any:
        """The type of a field, or None."""
        if name == "table":
            return types.CPointer(types.int64)
        return _FIELDS[name] or types.CPointer(self.real) if name in _FIELDS else None


def _type_of_field(hint: Any) -> Any:
    """The type of a field in compiled code by its annotation; None for an array in the run's precision."""
    if isinstance(hint, type) and issubclass(hint, Record):
        return from_dtype(dtype_of(hint))
    if get_origin(hint) is Sequence:
        return TableType(from_dtype(dtype_of(get_args(hint)[0])))
    return None if hint == Numbers else types.CPointer(from_dtype(np.dtype(get_args(get_args(hint)[1])[0])))


_FIELDS = {name: _type_of_field(hint) for name, hint in get_type_hints(Memory).items() if name != "table"}


@register_model(MemoryType)
class _MemoryModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.IntType(64).as_pointer())


@infer_getattr
class _MemoryFields(AttributeTemplate):
    key = MemoryType

    def generic_resolve(self, memory: Any, name: str) -> Any:
        return memory.field(name)


@lower_getattr_generic(MemoryType)
def _load_field(context: Any, builder: Any, memory: Any, value: Any, name: str) -> Any:
    kind = context.get_value_type(memory.field(name))
    if name == "table":
        return builder.bitcast(value, kind)
    index = ir.Constant(ir.IntType(64), Memory._fields.index(name))
    address = builder.load(builder.gep(value, [index]))
    address.set_metadata("invariant.load", builder.module.add_metadata([]))  # no code changes the table
    return builder.inttoptr(address, kind)


def _cast(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.bitcast(args[0], context.get_value_type(signature.return_type))


@compiled_as(_cast, lambda table, work: MemoryType(work.dtype)(table, work))
def memory_at(table: Any, work: Any) -> Memory:
    """The memory whose addresses are in `table`; the type of `work` is the precision."""
    return table
