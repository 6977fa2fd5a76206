"""One of two workers of DistributedDataParallel: `torch_ddp.py RANK PORT FILE`."""

import os
import sys

rank, port, out = sys.argv[1:]
os.environ["KERAS_BACKEND"] = "torch"
os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}

import keras  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from tests.support.devices import task  # noqa: E402

torch.distributed.init_process_group("gloo", rank=int(rank), world_size=2)
model = task.model()
parallel = torch.nn.parallel.DistributedDataParallel(model)
optimizer = task.optimizer()
optimizer.build(model.trainable_variables)
x, y = task.data()
for _ in range(3):
    for start in range(int(rank), len(x), 2 * task.BATCH):
        rows = slice(start, start + 2 * task.BATCH, 2)
        loss = keras.losses.mean_squared_error(y[rows], parallel(x[rows])).mean()
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            optimizer.apply([v.value.grad for v in model.trainable_variables])
np.savez(out, *task.weights(model))
torch.distributed.destroy_process_group()
