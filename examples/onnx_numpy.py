"""Find things in pictures with an exported model and without torch: onnxruntime, NumPy and Pillow are all.

dsla export MODEL --data DATA --out model.onnx
python examples/onnx_numpy.py model.onnx picture.jpg [picture.jpg ...]
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def find(session: onnxruntime.InferenceSession, picture: Image.Image) -> list[tuple[str, float, list[float]]]:
    """Class, score and corners, in pixels of the picture, of all that a graph with its own suppression finds."""
    texts = session.get_modelmeta().custom_metadata_map
    about = {name: json.loads(texts[name]) for name in ("graph", "preprocessing", "class_names")}
    if about["graph"]["decode"] != "graph":
        raise SystemExit("this model leaves the choice of boxes to you: export it with --decode graph")
    prepared = about["preprocessing"]
    factor = prepared["imgsz"] / max(picture.size)
    if prepared["shorter"]:
        factor = min(factor, prepared["shorter"] / min(picture.size))
    width, height = (max(1, round(side * factor)) for side in picture.size)
    images = np.zeros((1, 3, -(-height // 32) * 32, -(-width // 32) * 32), dtype=np.uint8)
    images[0, :, :height, :width] = np.asarray(picture.resize((width, height), Image.BILINEAR)).transpose(2, 0, 1)
    inputs = {"images": images, "sizes": np.array([[height, width]])}
    boxes, scores, labels, counts = session.run(["boxes", "scores", "labels", "counts"], inputs)
    back = np.array([picture.width / width, picture.height / height] * 2)
    found = zip(labels[0], scores[0], boxes[0] * back, strict=True)
    return [(about["class_names"][k], float(s), box.tolist()) for k, s, box in list(found)[: counts[0]]]


if __name__ == "__main__":
    model = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
    for path in sys.argv[2:]:
        upright = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        for name, score, corners in find(model, upright):
            print(path, name, f"{score:.3f}", " ".join(f"{corner:.1f}" for corner in corners), sep="\t")
