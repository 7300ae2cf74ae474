"""The laboratory: assigners compared in one detector, with the same weights, pictures and order for each seed.

plan.py      what is compared: settings, seeds, data; kept in the folder of the comparison
runner.py    works the plan off, here or on several machines
claims.py    who is at work on which run
training.py  one run: train, or go on with it, and measure
measure.py   what is measured of a trained network
cost.py      time and memory of the assigners themselves
points_a_box.py  what rules without predictions give to the boxes of a data set
record.py    finished runs, read and checked
statistics.py, resampled_ap.py  paired differences with intervals over pictures and seeds
summary.py, tables.py, conclusions.py  what comes of it, to keep, to look at, to conclude
sources.py, side_by_side.py, analysis_tables.py  models and results measured on the same pictures, with intervals
tune.py      the balance of class and box loss, for each assigner with the same budget
"""
