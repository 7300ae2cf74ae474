"""An xml file with entities that unfold to gigabytes."""

from pathlib import Path

from plain_sets import plain_voc

FINDINGS = {"xml-file": 1, "picture-no-boxes": 1}
TRAINING = "refused"


def write(folder: Path) -> None:
    plain_voc(folder)
    path = folder / "Annotations" / "1.xml"
    entities = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(9))
    path.write_text(f'<!DOCTYPE x [<!ENTITY e0 "ha">{entities}]>' + path.read_text().replace("cat", "&e9;"))
