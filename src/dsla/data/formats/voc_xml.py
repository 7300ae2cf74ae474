"""One Pascal VOC annotation file: the picture's name and size, and its objects with the lines they begin in.

Read with expat, which tells lines. A document type is refused: annotations have none, and entities in one could unfold
without end or reach for other files.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from dsla.data.tables import Fault

_SIDES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class VocObject:
    """An object: corners as in the file, and whether it is marked difficult."""

    name: str
    corners: tuple[float, float, float, float]
    difficult: bool
    line: int


@dataclass(frozen=True)
class VocFile:
    """What an annotation file holds; `size` is (h, w), None where it says none."""

    filename: str | None
    size: tuple[int, int] | None
    objects: tuple[VocObject, ...]
    faults: tuple[Fault, ...]


@dataclass
class _Element:
    """An element with its text, its children in order, and the line it begins in."""

    tag: str
    line: int
    text: str = ""
    children: list["_Element"] = field(default_factory=list["_Element"])

    def find(self, tag: str) -> "_Element | None":
        return next((child for child in self.children if child.tag == tag), None)

    def word(self, tag: str) -> str | None:
        found = self.find(tag)
        return found.text.strip() or None if found is not None else None


class _TypeRefusedError(Exception):
    pass


def read_voc_xml(path: Path) -> VocFile:
    """Read an annotation file; what is wrong with it or with an object becomes a fault."""
    try:
        text = path.read_bytes()
    except OSError as error:
        return _unreadable(path, f"cannot be read ({error.strerror})")
    return parse_voc_xml(text, path)


def parse_voc_xml(text: bytes, path: Path) -> VocFile:
    """The same from the bytes of a file; `path` is what to call it."""
    try:
        root = _parse(text)
    except expat.ExpatError as error:
        return _unreadable(path, f"not an xml file (line {error.lineno}: {expat.ErrorString(error.code)})")
    except (_TypeRefusedError, ValueError, LookupError) as error:
        return _unreadable(path, str(error) or "not an xml file")
    if root.tag != "annotation":
        return _unreadable(path, f"begins with <{root.tag}>; Pascal VOC has <annotation>")
    objects: list[VocObject] = []
    faults: list[Fault] = []
    for element in root.children:
        if element.tag == "object":
            found = _object(element)
            if isinstance(found, VocObject):
                objects.append(found)
            else:
                faults.append(Fault("xml-object", f"{path}, line {element.line}", found))
    return VocFile(root.word("filename"), _size(root.find("size")), tuple(objects), tuple(faults))


def _unreadable(path: Path, what: str) -> VocFile:
    return VocFile(None, None, (), (Fault("xml-file", str(path), what),))


def _parse(text: bytes) -> _Element:
    top = _Element("", 0)
    stack = [top]
    parser = expat.ParserCreate()

    def start(tag: str, _attributes: dict[str, str]) -> None:
        element = _Element(tag, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def end(_tag: str) -> None:
        stack.pop()

    def data(text: str) -> None:
        stack[-1].text += text

    def refuse(*_: object) -> None:
        raise _TypeRefusedError("has a document type (<!DOCTYPE>), which annotations do not need; remove it")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, data
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(text, True)
    return top.children[0]


def _object(element: _Element) -> VocObject | str:
    """The object of an element, or what is wrong with it."""
    name, box = element.word("name"), element.find("bndbox")
    if name is None:
        return "an object has no <name>"
    if box is None:
        return f"the object {name!r} has no <bndbox>"
    corners: list[float] = []
    for side in _SIDES:
        word = box.word(side)
        if word is None:
            return f"the object {name!r} has no <{side}>"
        try:
            corners.append(float(word))
        except ValueError:
            return f"the object {name!r} has <{side}> {word!r} instead of a number"
    xmin, ymin, xmax, ymax = corners
    difficult = (element.word("difficult") or "0").lower() in ("1", "true", "yes")
    return VocObject(name, (xmin, ymin, xmax, ymax), difficult, element.line)


def _size(element: _Element | None) -> tuple[int, int] | None:
    """Height and width, where both are above zero: tools leave them out or write 0."""
    try:
        sides = [float((element.word(side) if element else None) or 0) for side in ("height", "width")]
    except ValueError:
        return None
    return (int(sides[0]), int(sides[1])) if all(1 <= side < math.inf for side in sides) else None
