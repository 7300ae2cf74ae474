"""The page of `dsla explore`: a data set, its labels and what models find in it, in the browser of one's own machine.

The server answers with what the package computes; the page draws it. Needs the extra `explore` (FastAPI, uvicorn).
"""
