"""What a script reaches of the library, definition by definition.

A script reaches what its statements name; a definition that is reached reaches what it names in
turn. A module that is imported on the way counts with those of its statements that may do more
than define a name, since they run. Whatever cannot be told apart is reached whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from mammoshift.provenance.circles import circles
from mammoshift.provenance.normal_form import BY_NAME, CALLED, DERIVED, is_private
from mammoshift.provenance.outside import is_declarative, is_outside
from mammoshift.provenance.sources import Source, Unit, digest

_OF_A_TEXT = ("__doc__", "__file__")
_LEADS_TO_MODULES = ("__name__", "__package__", "__path__", "__spec__")
"""What a module says of itself, from which the names of others can be made."""

Place = tuple[str, int]
"""A definition: its module and its place among the units of that."""


@dataclass(frozen=True)
class Definition:
    """One definition that a script reaches.

    `name` is that of a function, class or value; a statement that defines nothing is called
    after its place among the statements of its module that are reached.
    """

    module: str
    name: str
    hash: str


@dataclass
class _Found:
    """What one reference means.

    Attributes
    ----------
    named
        Its full name.
    places
        The definitions that it means, if they are known one by one.
    after
        Which of their names it is, and which attributes of that.
    is_private
        Whether that name is private.
    whole
        Modules that it may mean everything of.
    imported
        Modules that it goes through.
    """

    named: str = ""
    places: tuple[Place, ...] = ()
    after: str = ""
    is_private: bool = False
    whole: tuple[str, ...] = ()
    imported: set[str] = field(default_factory=set)


class Library:
    """The sources of the library as they are now.

    Parameters
    ----------
    modules
        All modules that have a file.
    read
        Gives the source of one of them.
    by_name
        The modules that may be reached by a text that names them, or `module:name` for one
        definition of one; None for all.
    """

    def __init__(
        self,
        modules: Collection[str],
        read: Callable[[str], Source],
        by_name: Collection[str] | None = None,
    ) -> None:
        self.modules, self.by_name = modules, by_name
        self._read = read
        self._sources: dict[str, Source] = {}
        self._found: dict[tuple[str, str], _Found] = {}
        self._effects: dict[str, tuple[int, ...]] = {}

    def add(self, module: str, source: Source) -> None:
        """Add a source that is no module, such as a script."""
        self._sources[module] = source

    def source(self, module: str) -> Source:
        """Return the source of a module."""
        if module not in self._sources:
            self._sources[module] = self._read(module)
        return self._sources[module]

    def effects(self, module: str) -> tuple[int, ...]:
        """Return the places of the statements that may do more than define a name."""
        if module not in self._effects:
            self._effects[module] = ()
            self._effects[module] = tuple(
                place
                for place, unit in enumerate(self.source(module).units)
                if unit.has_effect
                or any(not self._does_nothing(module, *use) for use in unit.at_import)
            )
        return self._effects[module]

    def resolve(self, module: str, reference: str) -> _Found:
        """Return what a reference in a module means."""
        key = (module, reference)
        if key not in self._found:
            base, _, path = reference.removeprefix(BY_NAME).partition(":")
            found = _Found()
            if reference.startswith(BY_NAME):
                found = self.look_up(base)
            else:
                self._follow(base or module, tuple(path.split(".")) if path else (), found)
            self._found[key] = found
        return self._found[key]

    def look_up(self, name: str) -> _Found:
        """Return what a text that names a module, or begins a name, may reach."""
        if self.by_name is None:
            return _Found(f"{name}:", whole=(name,) if name in self.modules else ())
        allowed, found = set(self.below(name)), _Found("looked up")
        for entry in sorted(self.by_name):
            module, _, attribute = entry.partition(":")
            if module in allowed and attribute:
                part = _Found("")
                self._follow(module, (attribute,), part)
                found.places += part.places
                found.whole += part.whole
                found.imported |= part.imported
            elif module in allowed:
                found.whole += (module,)
        return found

    def below(self, module: str) -> Iterator[str]:
        """Yield a module and, of a package, all modules in it."""
        yield module
        yield from (name for name in sorted(self.modules) if name.startswith(f"{module}."))

    def _does_nothing(self, module: str, use: str, reference: str) -> bool:
        places = self.resolve(module, reference).places
        if not places:
            return is_outside(reference.partition(":")[0])
        for owner, place in places:
            unit = self.source(owner).units[place]
            if not (unit.is_plain if use == CALLED else unit.is_quiet):
                return False
            bases = [base for how, base in unit.at_import if how == DERIVED]
            if not all(self._does_nothing(owner, use, base) for base in bases):
                return False
        return True

    def _follow(self, module: str, parts: tuple[str, ...], found: _Found) -> None:
        """Walk from a module along the names of a reference, through modules that pass it on."""
        named = f"{module}:{'.'.join(parts)}"
        known = module in self.modules or module in self._sources
        if is_outside(module, parts[0] if parts else "") or not known:
            # Where it lies does not matter, so that it may move.
            found.named = f"outside {'.'.join(parts)}" if known else named
            return
        found.imported.add(module)
        if not parts:
            found.named, found.whole = named, (module,)
            return
        source = self.source(module)
        name, rest = parts[0], parts[1:]
        if name in source.names:
            found.places = tuple((module, place) for place in source.names[name])
            found.named = named
            slots = [source.units[place].names.index(name) for place in source.names[name]]
            found.after = ".".join([str(slots), *rest])
            found.is_private = is_private(name)
        elif name in source.imported:
            base, _, path = source.imported[name].partition(":")
            onward = (*(path.split(".") if path else ()), *rest)
            if base == module and onward == parts:
                found.named = named
            else:
                self._follow(base, onward, found)
        elif f"{module}.{name}" in self.modules:
            self._follow(f"{module}.{name}", rest, found)
        elif name in _OF_A_TEXT:
            found.named = named
        elif name in _LEADS_TO_MODULES:
            looked_up = self.look_up(module)
            found.named, found.whole = looked_up.named, looked_up.whole
        else:
            # From `from ... import *`, or made at run time.
            found.named = named
            found.whole = (module,)


class Reach:
    """The definitions that a script reaches, found when it is made."""

    def __init__(self, library: Library, script: str) -> None:
        self._library = library
        self._found: dict[Place, list[_Found]] = {}
        self._imported: set[str] = set()
        self._held: set[Place] = set()
        self._waiting: list[Place] = []
        self._import(script)
        while self._waiting:
            self._visit(self._waiting.pop())

    def definitions(self) -> list[Definition]:
        """Return each definition with a hash of its own code, in which others stand by name.

        Renaming a private definition changes these hashes and not those of `modules`.
        """
        return sorted(
            (
                Definition(module, name, self._own_hash((module, place)))
                for module, places in self._by_module().items()
                for name, place in self._named(module, places)
            ),
            key=lambda definition: (definition.module, definition.name),
        )

    def key(self) -> str:
        """Return one hash of all that is reached, wherever in the library it is defined."""
        hashes = self._hashes(lambda _found: True)
        parts: list[str] = []
        for module, places in self._by_module().items():
            order, rest = self._apart(module, places)
            parts.extend(hashes[module, place] for place in rest)
            parts.append(digest(*(hashes[module, place] for place in order)))
        return digest(*sorted(set(parts)))[:12]

    def modules(self) -> dict[str, str]:
        """Return for each module a hash of its reached definitions, whatever order they are in.

        A public definition counts by its name and what it does, a private one by what it does.
        """
        hashes = self._hashes(lambda found: found.is_private)
        result = {}
        for module, places in sorted(self._by_module().items()):
            order, rest = self._apart(module, places)
            parts = [
                self._public_name(self._unit((module, place))) + hashes[module, place]
                for place in rest
            ]
            in_order = [hashes[module, place] for place in order]
            result[module] = digest(*sorted(parts), "effects", *in_order)[:12]
        return result

    def _apart(self, module: str, places: list[int]) -> tuple[list[int], list[int]]:
        """Part statements that do something, whose order counts, from definitions."""
        order = [place for place in self._library.effects(module) if place in places]
        return order, [place for place in places if place not in order]

    def _import(self, module: str) -> None:
        """Note that a module is imported, with the packages around it and all that it imports."""
        waiting = [module]
        while waiting:
            module = waiting.pop()
            if module in self._imported or is_outside(module):
                continue
            if module not in self._library.modules and module not in self._library._sources:
                continue
            self._imported.add(module)
            if "." in module:
                waiting.append(module.rpartition(".")[0])
            source = self._library.source(module)
            waiting.extend(source.imports)
            for star in source.stars:
                self._reach_whole(star)
            if not is_declarative(module):
                self._waiting.extend((module, place) for place in self._library.effects(module))

    def _visit(self, place: Place) -> None:
        if place in self._found:
            return
        module = place[0]
        unit = self._unit(place)
        found = [self._library.resolve(module, r) for r in unit.references]
        for key, name in unit.registered:
            entry = self._library.look_up(name)
            if entry.whole or self._library.by_name is None:
                found.append(replace(entry, named=f"{key} {name}"))
        self._found[place] = found
        for name in unit.imports:
            self._import(name)
        self._import(module)
        for reference in unit.held:
            self._hold(module, reference)
        for found in self._found[place]:
            for name in found.imported:
                self._import(name)
            self._waiting.extend(found.places)
            for name in found.whole:
                self._reach_whole(name)

    def _hold(self, module: str, reference: str) -> None:
        """Reach the classes that an annotation names, through whatever combines them."""
        found = self._library.resolve(module, reference)
        for owner, place in found.places:
            unit = self._library.source(owner).units[place]
            if unit.is_class:
                self._waiting.append((owner, place))
            elif (owner, place) not in self._held:
                self._held.add((owner, place))
                for inner in unit.references:
                    self._hold(owner, inner)

    def _reach_whole(self, module: str) -> None:
        for name in self._library.below(module):
            self._import(name)
            if is_outside(name):
                continue
            units = self._library.source(name).units
            self._waiting.extend((name, place) for place in range(len(units)))

    def _by_module(self) -> dict[str, list[int]]:
        result: dict[str, list[int]] = {}
        for module, place in sorted(self._found):
            if not self._unit((module, place)).text:
                continue
            result.setdefault(module, []).append(place)
        return result

    def _named(self, module: str, places: list[int]) -> Iterator[tuple[str, int]]:
        statements = 0
        for place in places:
            names = self._library.source(module).units[place].names
            if not names:
                statements += 1
            yield (", ".join(names) or f"statement {statements}", place)

    def _public_name(self, unit: Unit) -> str:
        return ",".join("" if is_private(name) else name for name in unit.names) + "="

    def _own_hash(self, place: Place) -> str:
        return digest(self._unit(place).text, *(found.named for found in self._found[place]))[:12]

    def _hashes(self, by_content: Callable[[_Found], bool]) -> dict[Place, str]:
        """Hash each definition; what it names counts by its own hash or else by its name.

        Definitions that name each other start from their texts alone and take in what the
        others were as often as there are of them, which tells all apart that differ.
        """
        named = {
            place: [target for one in found if by_content(one) for target in one.places]
            for place, found in self._found.items()
        }
        hashes: dict[Place, str] = {}
        for circle in circles(named):
            rounds = len(circle) + 1 if len(circle) > 1 or circle[0] in named[circle[0]] else 1
            hashes.update({place: self._unit(place).text for place in circle})
            for _ in range(rounds):
                hashes.update(
                    {place: digest(*self._texts(place, hashes, by_content)) for place in circle}
                )
        return hashes

    def _texts(
        self, place: Place, hashes: Mapping[Place, str], by_content: Callable[[_Found], bool]
    ) -> Iterator[str]:
        """Yield what is hashed of a definition: its text and what its references mean."""
        yield self._unit(place).text
        for found in self._found[place]:
            if found.places and by_content(found):
                yield "+".join(hashes[target] for target in found.places) + found.after
            else:
                yield found.named

    def _unit(self, place: Place) -> Unit:
        return self._library.source(place[0]).units[place[1]]
