"""Which adapters there are: every module in the folder `adapters` is one.

An adapter's module has the name that a dataset's record gives for `adapter`, and offers

- ``SOURCE``: one sentence on what the archive is, where it comes from and what must lie where;
- ``Options``: an `AdapterOptions`, whose fields are the adapter's section of the configuration,
  each with a default unless the adapter cannot do without it;
- ``read_records(archive, options)``: the records of the usable images; the others are noted in
  the archive;
- if the archive was published with its numbers, ``published(options)``: a
  `mammoshift.archives.counts.Counts` of what is to be found under these options.

The configuration reads these modules in every process while Snakemake parses, so they import
what is heavy (pandas, numpy, pydicom, openpyxl) inside functions only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from mammoshift.configuration.model import Strict
from mammoshift.errors import ConfigurationError
from mammoshift.registry import load, names_in

if TYPE_CHECKING:
    from mammoshift.archives.archive import Archive, ImageRecord
    from mammoshift.archives.counts import Counts

_PACKAGE = "mammoshift.archives.adapters"


class AdapterOptions(Strict):
    """Base of the choices that an adapter leaves to the configuration."""

    @property
    def links_may_leave(self) -> bool:
        """Whether symbolic links may lead out of the archive's folder.

        A published archive may be put together from several disks; what a user's own table
        names may not.
        """
        return True


@dataclass(frozen=True)
class Adapter:
    """One adapter: its name, what it reads, and what may be chosen."""

    name: str
    source: str
    options: type[AdapterOptions]
    read_records: Callable[[Archive, Any], Iterator[ImageRecord]]
    published: Callable[[Any], Counts | None] | None = None

    @property
    def has_choices(self) -> bool:
        """Whether the adapter has a section in the configuration."""
        return bool(self.options.model_fields)

    def published_counts(self, options: AdapterOptions) -> Counts | None:
        """Return what was published of the archive under some options; None where nothing was."""
        return self.published(options) if self.published is not None else None

    @property
    def needs_section(self) -> bool:
        """Whether the adapter cannot do without its section."""
        return any(field.is_required() for field in self.options.model_fields.values())


def adapter_names() -> tuple[str, ...]:
    """Return the names of all adapters, sorted; no adapter is imported."""
    return names_in(_PACKAGE)


def adapter_module(name: str) -> str:
    """Return the full name of an adapter's module: what a fingerprint of its code starts from."""
    return f"{_PACKAGE}.{name}"


@cache
def load_adapter(name: str) -> Adapter:
    """Return the adapter called `name`, one of `adapter_names`.

    Raises
    ------
    ConfigurationError
        If its module cannot be imported or lacks what an adapter offers.
    """
    try:
        module = load(_PACKAGE, name)
    except ImportError as error:
        raise ConfigurationError(
            f"the adapter {name} ({adapter_module(name)}) cannot be imported: {error}"
        ) from None
    missing = [part for part in ("SOURCE", "Options", "read_records") if not hasattr(module, part)]
    if missing:
        raise ConfigurationError(
            f"the adapter {name} ({adapter_module(name)}) lacks {', '.join(missing)}"
        )
    published = getattr(module, "published", None)
    return Adapter(name, module.SOURCE, module.Options, module.read_records, published)
