"""A model behind HTTP: `POST /v1/detect`, and a page for people at `/`.

Nothing here imports torch: what runs the model is handed in (`model.Finder`), and an exported model needs none.
"""
