"""The workshop: training, calibration and export. Needs the extras `[train]` and `[export]`.

`edge_ser.lab.jobs` is the door: `train_job`, `export_run`, `export_untrained`, `export_shipped`.
Nothing here imports Keras before it is needed, so that `edge_ser.lab.compute.prepare` can still
set TensorFlow up.
"""
