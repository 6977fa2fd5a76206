"""Several workers wait for one another, for so long and no longer.

TensorFlow's own waiting lasts an hour and hears no Ctrl-C. So the workers meet before
it, on the addresses that it will take: the first one listens, the others call it and
hold the line, and once all are there it says so to each.
"""

import contextlib
import json
import selectors
import socket
import time

from keras_asgld.runs.files import ExperimentError, reason

_PAUSE = 0.2  # seconds between two calls to a first worker that does not listen yet
_GLANCE = 1.0  # a Ctrl-C of the moment before the wait is seen only after it


def meet(workers, me, seconds):
    """Return once all workers are there.

    Args:
        workers: (kind, index) of each worker → its address, as HOST:PORT; the first
            one is that which the others call.
        me: This worker's (kind, index).
        seconds: How long to wait.

    Raises:
        ExperimentError: They were not all there in time; the message names who was
            missing. Or an address cannot be used.
    """
    deadline = time.monotonic() + seconds
    first = next(iter(workers))
    try:
        if me == first:
            missing = _listen(workers, me, deadline)
        else:
            missing = _call(workers[first], me, deadline)
    except OSError as error:
        raise ExperimentError(
            f"the workers cannot meet at {workers[first]}: {reason(error)}"
        ) from error
    if missing is None:
        missing = [first]
    if missing:
        names = ", ".join(
            "{} {} ({})".format(*each, workers[each])
            for each in map(tuple, missing)
            if each in workers
        )
        raise ExperimentError(
            f"not all {len(workers)} workers are there after {seconds:g} seconds: "
            f"missing {names}; start them, or wait longer with --worker_timeout"
        )


def _listen(workers, me, deadline):
    """The first worker: who had not called when the time was up."""
    lines = {}
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("", _port(workers[me]))))
        waiting = stack.enter_context(selectors.DefaultSelector())
        waiting.register(listener, selectors.EVENT_READ)
        while len(lines) < len(workers) - 1 and time.monotonic() < deadline:
            left = deadline - time.monotonic()
            for key, _ in waiting.select(min(left, _GLANCE)):
                if key.fileobj is listener:
                    line, _ = listener.accept()
                    stack.enter_context(line)
                    waiting.register(line, selectors.EVENT_READ)
                    continue
                caller = _hear(key.fileobj)
                # Whoever hangs up is gone; whoever says something else is no worker.
                lines = {who: at for who, at in lines.items() if at is not key.fileobj}
                if caller in workers:
                    lines[caller] = key.fileobj
                else:
                    waiting.unregister(key.fileobj)
                    key.fileobj.close()
        missing = [each for each in workers if each != me and each not in lines]
        for line in lines.values():
            with contextlib.suppress(OSError):  # it has gone this moment
                line.sendall(json.dumps({"missing": missing}).encode() + b"\n")
    return missing


def _hear(line):
    """Who is calling, as (kind, index); None for anything else, silence included."""
    try:
        kind, index = json.loads(line.recv(4096))
        return kind, index
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def _call(address, me, deadline):
    """Any other worker: who is missing, as the first says, or None if it does not."""
    host = address.rpartition(":")[0].strip("[]")
    while (left := deadline - time.monotonic()) > 0:
        try:
            with socket.create_connection((host, _port(address)), left) as line:
                line.sendall(json.dumps(me).encode())
                line.settimeout(max(0.01, deadline - time.monotonic()) + 5)
                answer = line.makefile("rb").readline(65536)
            return json.loads(answer)["missing"]
        except socket.gaierror:
            raise
        except (OSError, ValueError, KeyError, TypeError):
            time.sleep(_PAUSE)  # it has not started, or was started anew
    return None


def _port(address):
    return int(address.rpartition(":")[2])
