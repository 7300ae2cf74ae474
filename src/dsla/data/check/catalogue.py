"""Everything that `dsla check` can find: a code, how bad it is, what training does about it, and what a repair does.

An error is what training refuses; warnings and notes never stop it. The tests hold every line to that, and the table in
`docs/checks.md` is made from this list.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

_PLURALS = {"box": "boxes", "class": "classes", "category": "categories"}


@dataclass(frozen=True)
class Entry:
    """A kind of finding.

    Attributes:
        code: its name, in messages and json.
        severity: "error": training refuses; "warning": something is probably wrong; "note": worth knowing.
        noun: what is counted, in the singular.
        what: the rest of the sentence.
        training: what training does about it, to be read after "training: ".
        fix: what `--fix` does about it; None where a repair would be a guess.
    """

    code: str
    severity: Severity
    noun: str
    what: str
    training: str
    fix: str | None = None

    def title(self, count: int) -> str:
        """The finding in words: "3 boxes without area"."""
        return f"{counted(count, self.noun)} {self.what}"


def counted(count: int, noun: str) -> str:
    """A number and its noun: "1 box", "3,000 boxes"."""
    last = noun.rpartition(" ")[2]
    plural = noun.removesuffix(last) + _PLURALS.get(last, f"{last}s")
    return f"{count:,} {noun if count == 1 else plural}"


def _error(code: str, noun: str, what: str, fix: str | None = None, training: str = "refuses the data set") -> Entry:
    return Entry(code, "error", noun, what, training, fix)


def _warning(code: str, noun: str, what: str, training: str, fix: str | None = None) -> Entry:
    return Entry(code, "warning", noun, what, training, fix)


def _note(code: str, noun: str, what: str, training: str, fix: str | None = None) -> Entry:
    return Entry(code, "note", noun, what, training, fix)


_DROPPED = "removed"
_GONE = "removed with its boxes"
_AT_PICTURE = "stops when it comes to the picture"

_RECORDS = (
    _error("split-empty", "split", "without a picture"),
    _error("no-categories", "split", "without a category"),
    _error("record-type", "record", "that is no object with keys"),
    _error("key-missing", "record", "without a key that is needed"),
    _error("value-type", "record", "with a value of the wrong kind"),
    _error("image-id-twice", "image id", "used more than once", "second removed where both name one file"),
    _error("annotation-id-twice", "annotation id", "used more than once", "numbered anew"),
    _error("category-id-twice", "category id", "used more than once", "second removed where both have one name"),
    _error("image-unknown", "annotation", "of a picture that is not listed", _DROPPED),
    _error("category-unknown", "annotation", "of a category that is not listed"),
    _error("category-shifted", "annotation", "with a category id off by one, like all others", "ids shifted by one"),
    _error("categories-differ", "category", "other than in the training part", "numbered as in training"),
    _error("area-type", "annotation", "with an area that is no number", "area of the box put in its place"),
    _error("label-line", "line", "of a label file that cannot be understood", _DROPPED),
    _error("label-pixels", "line", "of a label file with pixels instead of shares of the picture"),
    _error("label-file", "label file", "that cannot be read"),
    _error("xml-file", "xml file", "that cannot be understood"),
    _error("xml-object", "object", "in an xml file that cannot be understood", _DROPPED),
    _error("class-unlisted", "object", "of a class that is not in the list of classes"),
    _warning("label-without-picture", "label file", "that belongs to no picture", "not used", _DROPPED),
    _warning("file-twice", "record", "for a picture file that has one already", "taken for two pictures",
             "boxes joined in one record"),
)  # fmt: skip
_BOXES = (
    _error("box-not-numbers", "box", "not made of four numbers", _DROPPED),
    _error("box-not-finite", "box", "with a number that is not finite", _DROPPED),
    _error("box-degenerate", "box", "without area: a side is not above zero", _DROPPED),
    _error("box-outside", "box", "wholly outside the picture", _DROPPED),
    _warning("boxes-xyxy", "split", "whose boxes look like corners (x1, y1, x2, y2)", "taken as x, y, width, height"),
    _warning("boxes-centre", "split", "whose boxes look like centre and size (cx, cy, width, height)",
             "taken as x, y, width, height"),
    _warning("boxes-normalised", "split", "whose boxes look like shares of the picture, not pixels",
             "taken as pixels, too small to learn from"),
    _warning("box-sticks-out", "box", "sticking out of the picture", "clipped to the picture", "clipped"),
    _warning("box-tiny", "box", "thinner than a pixel at the network's size", "an ignore region at this size"),
    _warning("box-duplicate", "box", "drawn more than once (same class)", "kept, so the object counts twice",
             "all but the first removed"),
    _warning("box-two-classes", "box", "drawn again with another class", "kept, though the labels are at odds"),
    _note("box-covers-all", "box", "covering the whole picture", "kept"),
    _note("box-thin", "box", "more than 30 times as long as wide", "kept"),
    _note("ignore-region", "box", "marked as crowd, difficult or ignore",
          "an ignore region: neither object nor background"),
    _note("size-range", "split", "with objects of very different sizes", "kept, small and large"),
)  # fmt: skip
_CLASSES = (
    _warning("no-boxes", "split", "without a single box", "goes on, with nothing to learn or to measure"),
    _warning("class-spelling", "class", "spelt differently from another only in case, space, - or _",
             "different classes", "joined under the more frequent name"),
    _warning("class-val-only", "class", "to be measured but never trained", "not learned, so its AP is 0"),
    _warning("class-one-picture", "class", "seen in one training picture only", "kept, and little to learn from"),
    _note("class-alike", "class", "spelt nearly as another one", "different classes"),
    _note("class-train-only", "class", "trained but not in the validation part", "learned, and not measured"),
    _note("class-unused", "class", "without a box", "keeps its place in the network"),
    _note("class-imbalance", "split", "with a class far more frequent than another", "not balanced"),
)  # fmt: skip
_FILES = (
    _error("picture-missing", "picture", "not found on disk", _GONE),
    _error("picture-unreadable", "picture", "that cannot be read", _GONE),
    _error("picture-empty", "picture", "whose file has no content (0 bytes)", _GONE, _AT_PICTURE),
    _error("picture-unknown", "picture", "in a file that is no picture", _GONE, _AT_PICTURE),
    _error("picture-truncated", "picture", "cut short", _GONE, _AT_PICTURE),
    _error("picture-damaged", "picture", "damaged", _GONE, _AT_PICTURE),
    _error("picture-bomb", "picture", "with more pixels than the limit", None, _AT_PICTURE),
    _error("picture-values", "picture", "with pixel values out of range", None, _AT_PICTURE),
    _error("picture-size", "picture", "of another size than its record says",
           "size corrected where ratio and boxes leave no doubt", _AT_PICTURE),
    _warning("picture-grey-rest", "picture", "of which a part is lost, the rest plain grey",
             "kept, with grey where objects were"),
    _warning("picture-tiny", "picture", "smaller than 32 px", "enlarged to the network's size"),
    _warning("picture-duplicate", "picture", "with the same content as another of its split", "kept",
             "removed where the boxes are the same"),
    _warning("picture-leaked", "picture", "with the same content as one of another part",
             "kept, so the AP is flattered", "removed from training"),
    _warning("picture-leaked-near", "picture", "nearly the same as one of another part",
             "kept, so the AP is flattered"),
    _warning("picture-turned-unclear", "picture",
             "turned by EXIF, with no sign in its size of which way the boxes are meant",
             "turned upright, boxes taken as upright"),
    _warning("picture-turned-boxes", "picture", "turned by EXIF whose boxes fit the other frame only",
             "boxes clipped in the frame that the record's size tells"),
    _warning("picture-frames", "picture", "with several frames or pages", "only the first is seen"),
    _warning("colour-alpha", "picture", "with transparent parts", "the colours beneath them show"),
    _note("picture-turned", "picture", "turned by EXIF", "turned as the record's size tells"),
    _note("picture-no-boxes", "picture", "without a box", "kept, as background"),
    _note("picture-unlisted", "picture", "on disk that nothing names", "not used"),
    _note("picture-without-xml", "picture", "without an xml file", "not used"),
    _note("picture-near", "picture", "nearly the same as another of its split", "kept"),
    _note("picture-huge", "picture", "more than 8 times as large as the network's input", "shrunk, with its objects"),
    _note("depth-16", "picture", "with more than 8 bits a channel", "the high 8 bits are seen"),
    _note("depth-float", "picture", "with floating point values", "0 is black and 1 is white"),
    _note("colour-cmyk", "picture", "in CMYK", "converted to RGB"),
    _note("colour-palette", "picture", "with a palette", "converted to RGB"),
    _note("colour-grey", "picture", "in grey among pictures in colour", "grey is taken for all three colours"),
    _note("val-missing", "data set", "without a validation part", "some training pictures are cut to validate on"),
)  # fmt: skip

CATALOGUE: dict[str, Entry] = {entry.code: entry for entry in (*_RECORDS, *_BOXES, *_CLASSES, *_FILES)}


def codes_of(severity: Severity) -> list[str]:
    """The codes of one severity, in the order they are told."""
    return [entry.code for entry in CATALOGUE.values() if entry.severity == severity]
